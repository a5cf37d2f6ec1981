//! Who asks: the one place where a request becomes a session, and where a browser's request must come from here.
//!
//! A token comes as `Authorization: Bearer` (or `DPoP`) from programs or in the cookie from browsers. Browsers send the cookie by
//! themselves, whoever made the page; so a change under a cookie is believed only when the browser says that the
//! request comes from this very origin (`Sec-Fetch-Site`, else `Origin`). A bearer token proves that by itself.
//!
//! The root asks before it reads a request's body; what it finds travels with the request to the handler.

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, ORIGIN};
use http::{Method, request};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use sha2::{Digest, Sha256};
use url::Url;

use super::content::Reader;
use super::policy::{Access, Policy};
use super::problem::{Code, Problem};
use super::text::IdempotencyKey;
use super::{Context, Floors, reach};
use crate::owner::{AppToken, Demand, TOKEN_PREFIX};
use crate::session::{Asker, ClientInfo, Identity, Session, SessionState, Transport};
use crate::vault::{Actor, Vault};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A logged-in request.
#[derive(Clone)]
pub struct Caller {
    /// The request's context.
    pub context: Context,
    /// The session that decides; where a token was shown, the one that it stands for.
    pub session: Session,
    /// The token of a program, whose reach is less than the owner's.
    pub token: Option<AppToken>,
    /// What is asked of the owner beside the password.
    pub demand: Demand,
}

impl Caller {
    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.floors().vault
    }

    /// The floors below.
    pub fn floors(&self) -> &Floors {
        self.context.coffer.floors().expect("a session was checked, so the floors stand")
    }

    /// Who reads content.
    pub fn reader(&self) -> Reader<'_> {
        Reader { vault: self.vault(), session: &self.session, cut: &self.context.cut, held: None }
    }

    /// Who the log names for a change.
    pub fn actor(&self) -> Actor {
        Actor {
            session: Some(match &self.token {
                Some(token) => format!("token {}", token.id),
                None => self.session.view.id.to_string(),
            }),
            client: Some(self.context.user_agent.clone()),
            address: Some(self.context.address.to_string()),
            request_id: self.context.request_id.clone(),
            idempotency: None,
        }
    }

    /// The same for a creation that may be repeated under `key`; keys of different operations never meet.
    pub fn creator(&self, operation: &str, key: Option<&IdempotencyKey>) -> Actor {
        let digest = key.map(|key| Sha256::digest(format!("{operation}\0{}", key.0)).into());
        Actor { idempotency: digest, ..self.actor() }
    }

    /// Who makes the request of these headers.
    ///
    /// # Errors
    /// Why it is nobody, or may not.
    pub async fn of(request: &request::Parts, context: &Context) -> Result<Self, Problem> {
        let context = context.clone();
        let floors = context.coffer.floors()?;
        let shown = token(&request.headers, cookie_name(&context.coffer.http.public_url));
        let (token, transport) = match shown {
            Ok(shown) => shown,
            Err(problem) => {
                floors.sessions.count_stranger(&client_info(&context)).await?;
                return Err(problem);
            }
        };
        if transport == Transport::Cookie && !request.method.is_safe() && request.method != Method::OPTIONS {
            same_origin(&request.headers, &context.coffer.http.public_url)?;
        }
        let epoch = floors.vault.session_epoch()?;
        let client = client_info(&context);
        if transport == Transport::Bearer && token.starts_with(TOKEN_PREFIX) {
            let (session, token) = floors.sessions.authenticate_app(&floors.tokens, token, &client).await?;
            reach::admit(&token, context.policy)?;
            return Ok(Self { context, session, token: Some(token), demand: Demand::None });
        }
        let session = floors.sessions.authenticate(token, &client, epoch).await?;
        // A token that left its transport has leaked from it.
        if session.view.transport != transport {
            return Err(Code::InvalidToken.into());
        }
        let demand = floors.factors.demand()?;
        permit(context.policy, session.view.state(demand), floors.sessions.is_fresh(&session))?;
        Ok(Self { context, session, token: None, demand })
    }

    /// Who shows a proof.
    pub fn asker(&self) -> Asker {
        Asker { client: client_info(&self.context), actor: self.actor() }
    }

    /// Who judges it.
    pub fn identity(&self) -> Identity<'_> {
        let floors = self.floors();
        Identity { owner: &floors.owner, factors: &floors.factors }
    }
}

/// Whether a session in that state may call the operation.
///
/// # Errors
/// `MFA_REQUIRED`, `MFA_ENROLMENT_REQUIRED`, `STEP_UP_REQUIRED`.
fn permit(policy: Option<&Policy>, state: SessionState, is_fresh: bool) -> Result<(), Problem> {
    let Some(policy) = policy else { return Err(Code::PermissionDenied.into()) };
    match (policy.access, state) {
        (Access::Session, _) | (_, SessionState::Active) | (Access::Enrolment, SessionState::EnrolRequired) => {}
        (_, SessionState::MfaRequired) => return Err(Code::MfaRequired.into()),
        (_, SessionState::EnrolRequired) => return Err(Code::EnrolmentRequired.into()),
    }
    if policy.step_up && !is_fresh { Err(Code::StepUpRequired.into()) } else { Ok(()) }
}

/// What the session floor is told about the client.
pub fn client_info(context: &Context) -> ClientInfo {
    ClientInfo {
        address: context.address,
        user_agent: Some(context.user_agent.clone()),
        language: Some(context.language.clone()),
        proof: context.proof.clone(),
        meter: context.meter.clone(),
    }
}

/// The name of the session's cookie. Browsers bind a `__Host-` cookie to this host and path, but only over https; the
/// plain name serves the owner's own machine, which alone may be reached without https.
pub fn cookie_name(public_url: &Url) -> &'static str {
    if public_url.scheme() == "https" { "__Host-coffer" } else { "coffer" }
}

/// Refuses a browser's request that another site's page made.
///
/// # Errors
/// `PERMISSION_DENIED` unless `Sec-Fetch-Site` says `same-origin`, or, without it, `Origin` is the public URL's.
pub fn same_origin(headers: &HeaderMap, public_url: &Url) -> Result<(), Problem> {
    let ours = match headers.get(SEC_FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => headers.get(ORIGIN).is_some_and(|origin| *origin == *public_url.origin().ascii_serialization()),
    };
    if ours { Ok(()) } else { Err(Code::PermissionDenied.into()) }
}

fn token<'a>(headers: &'a HeaderMap, cookie_name: &str) -> Result<(&'a str, Transport), Problem> {
    if let Some(header) = headers.get(AUTHORIZATION) {
        let text = header.to_str().map_err(|_| Code::InvalidToken)?;
        let (scheme, token) = text.split_once(' ').ok_or(Code::InvalidToken)?;
        if !["bearer", "dpop"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(Code::InvalidToken.into());
        }
        return Ok((token.trim(), Transport::Bearer));
    }
    cookie(headers, cookie_name)
        .map(|token| (token, Transport::Cookie))
        .ok_or_else(|| Code::AuthenticationRequired.into())
}

/// The first cookie of that name (RFC 6265, section 5.4: pairs divided by `; `).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = |description| MetaSecurityScheme {
            ty: "",
            description: Some(description),
            name: None,
            key_in: None,
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(
            "bearer",
            MetaSecurityScheme {
                ty: "http",
                scheme: Some("bearer"),
                bearer_format: Some("JWT"),
                ..scheme(
                    "The `access_token` of `POST /session` with `transport: bearer`, or the secret of `POST /tokens`.",
                )
            },
        );
        registry.create_security_scheme(
            "cookie",
            MetaSecurityScheme {
                ty: "apiKey",
                name: Some("__Host-coffer"),
                key_in: Some("cookie"),
                ..scheme(
                    "The cookie of `POST /session` with `transport: cookie`; over plain http on the owner's own \
                     machine it is named `coffer`. Changes must come from this origin.",
                )
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["bearer", "cookie"]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        // Nobody was asked for: an operation without a row in the table of policies is nobody's.
        Ok(request.data::<Self>().cloned().ok_or_else(|| Problem::new(Code::PermissionDenied))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_this_origin_may_change_anything_under_a_cookie() {
        let url = Url::parse("https://vault.example/").unwrap();
        for (pairs, allowed) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://vault.example")], true),
            (&[("origin", "https://vault.example")], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "https://vault.example")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "https://vault.example.evil")], false),
            (&[("origin", "http://vault.example")], false),
            (&[("origin", "https://vault.example:444")], false),
            (&[("origin", "null")], false),
            (&[("referer", "https://vault.example/")], false),
            (&[], false),
        ] {
            assert_eq!(same_origin(&headers(pairs), &url).is_ok(), allowed, "{pairs:?}");
        }
        let local = Url::parse("http://localhost:8080").unwrap();
        assert!(same_origin(&headers(&[("origin", "http://localhost:8080")]), &local).is_ok());
    }

    #[test]
    fn a_token_is_found_where_it_belongs() {
        let bearer = Transport::Bearer;
        let cookie = Transport::Cookie;
        for (pairs, expected) in [
            (&[("authorization", "Bearer abc")][..], Ok(("abc", bearer))),
            (&[("authorization", "bearer abc")], Ok(("abc", bearer))),
            (&[("authorization", "DPoP abc")], Ok(("abc", bearer))),
            (&[("cookie", "a=b; coffer=abc; c=d")], Ok(("abc", cookie))),
            (&[("authorization", "Bearer abc"), ("cookie", "coffer=def")], Ok(("abc", bearer))),
            (&[("authorization", "Basic abc")], Err(Code::InvalidToken)),
            (&[("authorization", "Bearer")], Err(Code::InvalidToken)),
            (&[("cookie", "xcoffer=abc")], Err(Code::AuthenticationRequired)),
            (&[], Err(Code::AuthenticationRequired)),
        ] {
            let headers = headers(pairs);
            assert_eq!(token(&headers, "coffer").map_err(|problem| problem.code()), expected, "{pairs:?}");
        }
    }
}
