//! Cross-origin requests: pages of the origins that a rule names may use the store, no others.
//!
//! The rules are the bucket's, set by PutBucketCors and kept in the folder, so that an operator (or `coffer bucket protect`)
//! sets them here as on any other S3 and no restart is needed; beside them are those that the store was started with. They
//! only let browsers' pages through to the signature's check, which everybody meets.

use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use parking_lot::RwLock;
use s3s::Body;
use s3s::dto::CORSRule;
use s3s::{S3Result, s3_error};

use super::folder::{Folder, OWN_FOLDER, flush_folder};
use crate::store::{CorsRule, CorsRules};

/// Rules that a bucket has at most, as in S3.
const MAX_RULES: usize = 100;
/// Methods that a rule may name, as in S3.
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// The bucket's rules, as they lie in the folder.
pub(super) struct KeptRules {
    folder: Arc<Folder>,
    rules: RwLock<Arc<CorsRules>>,
}

impl KeptRules {
    /// Reads them. Rules that can't be read are an error: to go on without would shut pages out unseen.
    pub(super) fn open(folder: Arc<Folder>) -> io::Result<Self> {
        let rules = match std::fs::read(path_in(&folder)) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => CorsRules::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { folder, rules: RwLock::new(Arc::new(rules)) })
    }

    pub(super) fn get(&self) -> Arc<CorsRules> {
        Arc::clone(&self.rules.read())
    }

    /// Keeps other rules, on disk before they count.
    pub(super) fn set(&self, rules: CorsRules) -> io::Result<()> {
        let mut held = self.rules.write();
        let mut staged = self.folder.stage()?;
        staged.file.write_all(&serde_json::to_vec_pretty(&rules)?)?;
        staged.file.sync_all()?;
        let home = path_in(&self.folder);
        std::fs::rename(staged.path(), &home)?;
        flush_folder(&self.folder.root().join(OWN_FOLDER))?;
        *held = Arc::new(rules);
        Ok(())
    }
}

fn path_in(folder: &Folder) -> PathBuf {
    folder.root().join(OWN_FOLDER).join("cors.json")
}

/// The rules of a PutBucketCors, checked.
pub(super) fn checked(rules: Vec<CORSRule>) -> S3Result<CorsRules> {
    if rules.len() > MAX_RULES {
        return Err(s3_error!(InvalidRequest, "a bucket has at most {MAX_RULES} rules"));
    }
    let rules: Vec<CorsRule> = rules
        .into_iter()
        .map(|rule| CorsRule {
            id: rule.id,
            allowed_origins: rule.allowed_origins,
            allowed_methods: rule.allowed_methods,
            allowed_headers: rule.allowed_headers.unwrap_or_default(),
            expose_headers: rule.expose_headers.unwrap_or_default(),
            max_age_seconds: rule.max_age_seconds,
        })
        .collect();
    for rule in &rules {
        let patterns = rule.allowed_origins.iter().chain(&rule.allowed_headers);
        let is_name = |name: &String| HeaderName::try_from(name.as_str()).is_ok();
        if rule.allowed_origins.is_empty() || rule.allowed_methods.is_empty() {
            return Err(s3_error!(MalformedXML, "a rule names origins and methods"));
        }
        if !rule.allowed_methods.iter().all(|method| METHODS.contains(&method.as_str())) {
            return Err(s3_error!(InvalidRequest, "a rule allows GET, PUT, POST, DELETE and HEAD"));
        }
        if patterns.clone().any(|pattern| pattern.matches('*').count() > 1) {
            return Err(s3_error!(InvalidRequest, "an origin or header has at most one *"));
        }
        if !rule.expose_headers.iter().all(is_name) {
            return Err(s3_error!(InvalidRequest, "an exposed header is not a header's name"));
        }
    }
    Ok(CorsRules { rules })
}

/// The bucket's rules again, as GetBucketCors answers them.
pub(super) fn listed(rules: &CorsRules) -> Vec<CORSRule> {
    let some = |texts: &[String]| (!texts.is_empty()).then(|| texts.to_vec());
    let rule = |rule: &CorsRule| CORSRule {
        id: rule.id.clone(),
        allowed_origins: rule.allowed_origins.clone(),
        allowed_methods: rule.allowed_methods.clone(),
        allowed_headers: some(&rule.allowed_headers),
        expose_headers: some(&rule.expose_headers),
        max_age_seconds: rule.max_age_seconds,
    };
    rules.rules.iter().map(rule).collect()
}

/// Who may use the store from a page.
#[derive(Clone)]
pub(super) struct Cors {
    kept: Arc<KeptRules>,
    started_with: Arc<[CorsRule]>,
}

impl Cors {
    pub(super) fn new(kept: Arc<KeptRules>, origins: &[String]) -> Self {
        Self { kept, started_with: origins.iter().map(|origin| CorsRule::for_app(origin)).collect() }
    }

    /// The headers that let a page read the answer to its request, when a rule admits it.
    pub(super) fn admission<B>(&self, request: &Request<B>) -> Option<HeaderMap> {
        self.admit(text(request.headers(), &ORIGIN)?, request.method().as_str(), &[])
    }

    /// The answer to a preflight; `None` for any other request.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let headers = request.headers();
        let method = text(headers, &ACCESS_CONTROL_REQUEST_METHOD).filter(|_| request.method() == Method::OPTIONS)?;
        let asked = text(headers, &ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        let named: Vec<&str> = asked.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let admitted = text(headers, &ORIGIN).and_then(|origin| self.admit(origin, method, &named));
        let mut response = Response::new(Body::empty());
        match admitted {
            None => *response.status_mut() = StatusCode::FORBIDDEN,
            Some(mut admitted) => {
                *response.status_mut() = StatusCode::NO_CONTENT;
                if let Ok(asked) = HeaderValue::from_str(asked) {
                    admitted.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
                }
                *response.headers_mut() = admitted;
            }
        }
        Some(response)
    }

    fn admit(&self, origin: &str, method: &str, headers: &[&str]) -> Option<HeaderMap> {
        let kept = self.kept.get();
        let mut rules = self.started_with.iter().chain(&kept.rules);
        let rule = rules.find(|rule| {
            rule.allowed_origins.iter().any(|pattern| matches(pattern, origin))
                && rule.allowed_methods.iter().any(|allowed| allowed == method)
                && headers.iter().all(|name| {
                    let name = name.to_ascii_lowercase();
                    rule.allowed_headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &name))
                })
        })?;
        let listed = |texts: &[String]| HeaderValue::from_str(&texts.join(", ")).ok();
        let mut answer = HeaderMap::new();
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_str(origin).ok()?);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, listed(&rule.allowed_methods)?);
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, listed(&rule.expose_headers)?);
        if let Some(secs) = rule.max_age_seconds {
            answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(secs));
        }
        answer.append(VARY, HeaderValue::from_static("Origin"));
        Some(answer)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a pattern with at most one `*` names `text`.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "https://vault.example";

    fn kept(root: &tempfile::TempDir) -> Arc<KeptRules> {
        Arc::new(KeptRules::open(Arc::new(Folder::open(root.path()).unwrap())).unwrap())
    }

    fn preflight(origin: &str, method: &str, headers: &str) -> Request<()> {
        let request =
            Request::options("/bucket/key").header(ORIGIN, origin).header(ACCESS_CONTROL_REQUEST_METHOD, method);
        request.header(ACCESS_CONTROL_REQUEST_HEADERS, headers).body(()).unwrap()
    }

    #[test]
    fn a_listed_origin_passes_its_preflight_and_no_other_does() {
        let root = tempfile::tempdir().unwrap();
        let cors = Cors::new(kept(&root), &[APP.to_owned()]);
        let passed = cors.preflight(&preflight(APP, "PUT", "content-type, X-Amz-Checksum-Sha256")).unwrap();
        assert_eq!(passed.status(), StatusCode::NO_CONTENT);
        assert_eq!(passed.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], APP);
        assert_eq!(passed.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "content-type, X-Amz-Checksum-Sha256");
        for (origin, method, headers) in [
            ("https://vault.example.evil", "PUT", "content-type"),
            ("null", "PUT", ""),
            ("http://vault.example", "PUT", ""),
            ("", "PUT", ""),
            (APP, "DELETE", ""),
            (APP, "PUT", "content-type,x-amz-acl"),
        ] {
            let refused = cors.preflight(&preflight(origin, method, headers)).unwrap();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{origin} {method} {headers}");
            assert!(!refused.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        }
        assert!(cors.preflight(&Request::get("/bucket/key").header(ORIGIN, APP).body(()).unwrap()).is_none());
    }

    #[test]
    fn rules_outlive_the_process_and_take_effect_at_once() {
        let root = tempfile::tempdir().unwrap();
        let rules = kept(&root);
        let cors = Cors::new(Arc::clone(&rules), &[]);
        let asked = || cors.preflight(&preflight(APP, "GET", "range")).unwrap().status();
        assert_eq!(asked(), StatusCode::FORBIDDEN);
        rules.set(CorsRules::default().with(CorsRule::for_app(APP))).unwrap();
        assert_eq!(asked(), StatusCode::NO_CONTENT);
        drop((cors, rules));
        assert_eq!(kept(&root).get().rules, [CorsRule::for_app(APP)]);
    }

    #[test]
    fn one_star_stands_for_anything() {
        for (pattern, text, is_named) in [
            ("*", "https://a", true),
            ("https://*.example", "https://a.example", true),
            ("https://*.example", "https://.example", true),
            ("https://*.example", "http://a.example", false),
            ("ab*ba", "aba", false),
            ("https://a", "https://a", true),
            ("https://a", "https://ab", false),
        ] {
            assert_eq!(matches(pattern, text), is_named, "{pattern} {text}");
        }
    }

    #[test]
    fn rules_that_s3_would_refuse_are_refused() {
        let rule = |origins: &[&str], methods: &[&str]| CORSRule {
            allowed_origins: origins.iter().map(|&text| text.to_owned()).collect(),
            allowed_methods: methods.iter().map(|&text| text.to_owned()).collect(),
            allowed_headers: None,
            expose_headers: None,
            id: None,
            max_age_seconds: None,
        };
        assert!(checked(vec![rule(&["*"], &["GET"]); MAX_RULES]).is_ok());
        assert!(checked(vec![rule(&["*"], &["GET"]); MAX_RULES + 1]).is_err());
        for refused in [rule(&[], &["GET"]), rule(&["*"], &[]), rule(&["*"], &["PATCH"]), rule(&["*.*"], &["GET"])] {
            assert!(checked(vec![refused]).is_err());
        }
    }
}
