//! Which pages may use the bucket across origins: the rule that the app needs, and the bucket's own list of rules.
//!
//! A rule reads and writes as the JSON that S3's tools take, so that what is printed can be pasted.

use aws_sdk_s3::types::{CorsConfiguration, CorsRule as SdkRule};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, retry};

/// For how long a browser may remember the answer to a preflight; Chromium remembers none for longer than two hours.
const MAX_AGE_SECS: i32 = 3_600;

/// What the app's pages do.
const METHODS: [&str; 3] = ["GET", "HEAD", "PUT"];

/// What they may say beyond what every page may.
const SENT: [&str; 6] = ["x-amz-checksum-sha256", "content-md5", "content-type", "range", "if-match", "if-none-match"];

/// What they must be able to read.
const EXPOSED: [&str; 4] = ["ETag", "Content-Range", "Content-Length", "Accept-Ranges"];

/// One rule of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CorsRule {
    /// Its name, if it has one.
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Origins whose pages it is about; one `*` in each stands for anything.
    pub allowed_origins: Vec<String>,
    /// Methods that they may use.
    pub allowed_methods: Vec<String>,
    /// Headers that they may send; one `*` in each stands for anything.
    pub allowed_headers: Vec<String>,
    /// Headers that they may read.
    pub expose_headers: Vec<String>,
    /// For how long a browser may remember it, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i32>,
}

/// A bucket's rules; the first that admits a request decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsRules {
    /// In the order in which they are asked.
    #[serde(rename = "CORSRules")]
    pub rules: Vec<CorsRule>,
}

impl CorsRule {
    /// All that pages of `origin` (scheme, host and port) need to move content, and no more.
    pub fn for_app(origin: &str) -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            id: Some("coffer".to_owned()),
            allowed_origins: vec![origin.to_owned()],
            allowed_methods: texts(&METHODS),
            allowed_headers: texts(&SENT),
            expose_headers: texts(&EXPOSED),
            max_age_seconds: Some(MAX_AGE_SECS),
        }
    }
}

impl CorsRules {
    /// These rules with `rule` in front of them, in the place of those for exactly the same origins.
    #[must_use]
    pub fn with(mut self, rule: CorsRule) -> Self {
        self.rules.retain(|old| old.allowed_origins != rule.allowed_origins);
        self.rules.insert(0, rule);
        self
    }
}

impl Store {
    /// The bucket's rules; none where nobody set any.
    pub async fn cors_rules(&self) -> Result<CorsRules, StoreError> {
        let found = retry::read(|| async {
            let request = self.client.get_bucket_cors().bucket(&*self.bucket);
            request.send().await.map_err(StoreError::from_sdk)
        });
        let rules = match found.await {
            Ok(found) => found.cors_rules.unwrap_or_default(),
            Err(StoreError::NotFound) => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(CorsRules { rules: rules.into_iter().map(CorsRule::from).collect() })
    }

    /// Puts these rules in the place of those that were; without any, pages of other origins are shut out again.
    pub async fn set_cors_rules(&self, rules: &CorsRules) -> Result<(), StoreError> {
        if rules.rules.is_empty() {
            // A list of no rules is malformed to S3.
            return retry::write(|| async {
                let request = self.client.delete_bucket_cors().bucket(&*self.bucket);
                request.send().await.map(drop).map_err(StoreError::from_sdk)
            })
            .await;
        }
        let rules: Result<Vec<_>, _> = rules.rules.iter().cloned().map(SdkRule::try_from).collect();
        let rules = rules.and_then(|rules| CorsConfiguration::builder().set_cors_rules(Some(rules)).build());
        let rules = rules.map_err(|_| StoreError::never_sent("InvalidCorsRule"))?;
        retry::write(|| async {
            let request = self.client.put_bucket_cors().bucket(&*self.bucket).cors_configuration(rules.clone());
            request.send().await.map(drop).map_err(StoreError::from_sdk)
        })
        .await
    }
}

impl From<SdkRule> for CorsRule {
    fn from(rule: SdkRule) -> Self {
        Self {
            id: rule.id,
            allowed_origins: rule.allowed_origins,
            allowed_methods: rule.allowed_methods,
            allowed_headers: rule.allowed_headers.unwrap_or_default(),
            expose_headers: rule.expose_headers.unwrap_or_default(),
            max_age_seconds: rule.max_age_seconds,
        }
    }
}

impl TryFrom<CorsRule> for SdkRule {
    type Error = aws_sdk_s3::error::BuildError;

    fn try_from(rule: CorsRule) -> Result<Self, Self::Error> {
        Self::builder()
            .set_id(rule.id)
            .set_allowed_origins(Some(rule.allowed_origins))
            .set_allowed_methods(Some(rule.allowed_methods))
            .set_allowed_headers(Some(rule.allowed_headers))
            .set_expose_headers(Some(rule.expose_headers))
            .set_max_age_seconds(rule.max_age_seconds)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apps_rule_takes_the_place_of_its_older_self_and_of_no_other() {
        let other = CorsRule { allowed_origins: vec!["*".to_owned()], ..CorsRule::default() };
        let old = CorsRule { max_age_seconds: None, ..CorsRule::for_app("https://vault.example") };
        let rules = CorsRules { rules: vec![other.clone(), old] }.with(CorsRule::for_app("https://vault.example"));
        assert_eq!(rules.rules, [CorsRule::for_app("https://vault.example"), other]);
    }

    #[test]
    fn a_rule_reads_as_s3s_tools_write_it() {
        let text =
            r#"{"CORSRules": [{"AllowedOrigins": ["https://a"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 5}]}"#;
        let rules: CorsRules = serde_json::from_str(text).unwrap();
        assert_eq!((rules.rules[0].allowed_methods[0].as_str(), rules.rules[0].max_age_seconds), ("GET", Some(5)));
        let written = serde_json::to_value(CorsRules::default().with(CorsRule::for_app("https://a"))).unwrap();
        assert_eq!(written["CORSRules"][0]["ExposeHeaders"][0], "ETag");
        assert_eq!(written["CORSRules"][0]["ID"], "coffer");
    }
}
