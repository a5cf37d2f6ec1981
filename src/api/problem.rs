//! Problems (RFC 9457): the only place that turns an error into a status.
//!
//! Every answer that is not a success is an `application/problem+json` with a stable upper-case `code`, a sentence that
//! says what to do, and the id of the request. Errors of the floors below and of the framework are converted here and
//! nowhere else. A problem never carries what the server knows and the client does not: no path of the code, no name of
//! a file, no key, no cause of a failed decryption.

use std::borrow::Cow;
use std::fmt;
use std::io::ErrorKind;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use poem::error::ResponseError;
use poem_openapi::Object;
use poem_openapi::types::ToJSON;

pub use super::refused::{
    Changing, Continuing, Downloading, Granting, Listing, LoggingIn, Open, Proving, Reading, Redeeming, Refused,
    Statuses, Uploading,
};
use crate::owner::FactorError;
use crate::session::{ProofError, SessionError};
use crate::vault::{InvalidName, VaultError};

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Most characters of a parser's reason that are passed on.
const MAX_REASON_CHARS: usize = 300;

/// What a client reads when a request failed.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem", example)]
pub struct Body {
    /// the kind of problem as a URN: `urn:coffer:problem:` and the code.
    #[oai(rename = "type")]
    pub kind: String,
    /// The kind of problem in words.
    pub title: String,
    /// The HTTP status.
    #[oai(validator(minimum(value = "400"), maximum(value = "599")))]
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// The kind of problem for programs; documented and stable.
    #[oai(validator(pattern = "^[A-Z0-9_]+$"))]
    pub code: String,
    /// The id of the request: the log has it too.
    pub request_id: String,
}

impl poem_openapi::types::Example for Body {
    fn example() -> Self {
        Problem::new(Code::NodeNotFound).body("5f0c2f6f1d1f4c3f8a52c7f2b6a4e9d0")
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $status:ident $title:literal;)+) => {
        /// Every kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)+ }

        impl Code {
            /// All of them, in the order of their statuses.
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// The stable name that programs read.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $code,)+ }
            }

            /// The status it is answered with.
            pub fn status(self) -> StatusCode {
                match self { $(Code::$variant => StatusCode::$status,)+ }
            }

            /// The kind of problem in words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)+ }
            }
        }
    };
}

codes! {
    /// The request is not what this operation takes.
    InvalidRequest = "INVALID_REQUEST" BAD_REQUEST "The request is not valid";
    /// A name breaks the rules for names.
    InvalidName = "INVALID_NAME" BAD_REQUEST "The name is not allowed";
    /// No session was shown.
    AuthenticationRequired = "AUTHENTICATION_REQUIRED" UNAUTHORIZED "A session is needed";
    /// The session that was shown is not one.
    InvalidToken = "INVALID_TOKEN" UNAUTHORIZED "The session is not valid";
    /// The session has ended by time.
    TokenExpired = "TOKEN_EXPIRED" UNAUTHORIZED "The session has expired";
    /// The session is bound to a key, and no proof of it with a fresh nonce came along.
    ProofWanted = "USE_DPOP_NONCE" UNAUTHORIZED "A fresh proof of possession is needed";
    /// The proof of possession is not for this request.
    InvalidProof = "INVALID_DPOP_PROOF" UNAUTHORIZED "The proof of possession is not valid";
    /// E-mail and password do not belong together.
    WrongCredentials = "WRONG_CREDENTIALS" UNAUTHORIZED "E-mail or password is wrong";
    /// A browser sent a state change from another site.
    PermissionDenied = "PERMISSION_DENIED" FORBIDDEN "This is not allowed";
    /// The session owes a second factor.
    MfaRequired = "MFA_REQUIRED" FORBIDDEN "A second factor is needed";
    /// The owner has to enrol a second factor first.
    EnrolmentRequired = "MFA_ENROLMENT_REQUIRED" FORBIDDEN "A second factor must be enrolled first";
    /// The owner has to prove to be there first.
    StepUpRequired = "STEP_UP_REQUIRED" FORBIDDEN "A fresh proof is needed";
    /// A password, code or passkey that was shown is wrong.
    WrongProof = "WRONG_PROOF" FORBIDDEN "The proof is wrong";
    /// No such route.
    NotFound = "NOT_FOUND" NOT_FOUND "There is nothing here";
    /// No such file or folder.
    NodeNotFound = "FILE_NOT_FOUND" NOT_FOUND "There is no such file or folder";
    /// No such session.
    SessionNotFound = "SESSION_NOT_FOUND" NOT_FOUND "There is no such session";
    /// No such app token.
    TokenNotFound = "TOKEN_NOT_FOUND" NOT_FOUND "There is no such token";
    /// No such passkey or authenticator app.
    FactorNotFound = "FACTOR_NOT_FOUND" NOT_FOUND "There is no such factor";
    /// No such ticket.
    TicketNotFound = "TICKET_NOT_FOUND" NOT_FOUND "There is no such ticket";
    /// No such upload.
    UploadNotFound = "UPLOAD_NOT_FOUND" NOT_FOUND "There is no such upload";
    /// The route exists with other methods.
    MethodNotAllowed = "METHOD_NOT_ALLOWED" METHOD_NOT_ALLOWED "This method is not supported here";
    /// The body came too slowly.
    RequestTimeout = "REQUEST_TIMEOUT" REQUEST_TIMEOUT "The request took too long to arrive";
    /// The name is taken.
    Duplicate = "DUPLICATE_RESOURCE" CONFLICT "The name is taken";
    /// The present state does not allow it.
    Conflict = "CONFLICT" CONFLICT "The present state does not allow this";
    /// A part of an upload is missing.
    UploadIncomplete = "UPLOAD_INCOMPLETE" CONFLICT "The upload lacks a part";
    /// An upload is being ended.
    UploadBusy = "UPLOAD_BUSY" CONFLICT "The upload is being ended";
    /// One salt was used for two encryptions.
    SaltReused = "SALT_REUSED" CONFLICT "The salt was used before";
    /// The time of an upload is over.
    UploadExpired = "UPLOAD_EXPIRED" GONE "The upload's time is over";
    /// Somebody else changed it meanwhile.
    PreconditionFailed = "PRECONDITION_FAILED" PRECONDITION_FAILED "It has changed meanwhile";
    /// A body other than content is too large.
    BodyTooLarge = "BODY_TOO_LARGE" PAYLOAD_TOO_LARGE "The body is too large";
    /// A file is larger than `MAX_FILE_SIZE`.
    FileTooLarge = "FILE_TOO_LARGE" PAYLOAD_TOO_LARGE "The file is too large";
    /// The vault holds `STORAGE_LIMIT` bytes.
    StorageLimit = "STORAGE_LIMIT_EXCEEDED" PAYLOAD_TOO_LARGE "The vault is full";
    /// The body has another media type than the operation takes.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE" UNSUPPORTED_MEDIA_TYPE "The media type is not supported";
    /// The content contradicts its declared type.
    TypeMismatch = "MIME_TYPE_MISMATCH" UNSUPPORTED_MEDIA_TYPE "The content is not of its declared type";
    /// The range is outside the content, invalid, or more than one.
    RangeNotSatisfiable = "RANGE_NOT_SATISFIABLE" RANGE_NOT_SATISFIABLE "The range cannot be served";
    /// The bucket holds other bytes than those confirmed.
    UploadDamaged = "UPLOAD_DAMAGED" UNPROCESSABLE_ENTITY "The upload is not what was confirmed";
    /// Too many attempts.
    RateLimited = "RATE_LIMITED" TOO_MANY_REQUESTS "Too many attempts";
    /// Our fault.
    Internal = "INTERNAL_ERROR" INTERNAL_SERVER_ERROR "The vault failed";
    /// The bucket answered bytes that do not verify.
    Corrupt = "STORED_DATA_DAMAGED" BAD_GATEWAY "The stored data does not verify";
    /// Starting, or another process writes.
    NotReady = "NOT_READY" SERVICE_UNAVAILABLE "The vault is not ready";
    /// The vault serves reads only.
    ReadOnly = "READ_ONLY" SERVICE_UNAVAILABLE "The vault is read-only";
    /// Too much work at once.
    Busy = "BUSY" SERVICE_UNAVAILABLE "The vault is busy";
    /// Redis is away.
    RedisUnavailable = "REDIS_UNAVAILABLE" SERVICE_UNAVAILABLE "Sessions cannot be checked";
    /// The bucket is away.
    StorageUnavailable = "STORAGE_UNAVAILABLE" SERVICE_UNAVAILABLE "The bucket cannot be reached";
    /// Whether it happened is not known.
    OutcomeUnknown = "OUTCOME_UNKNOWN" SERVICE_UNAVAILABLE "Whether it happened is not known";
}

impl Code {
    /// What to do, where the place that found the problem says nothing better.
    fn advice(self) -> &'static str {
        match self {
            Code::InvalidRequest => "Compare the request with /openapi.json.",
            Code::InvalidName => "Choose another name.",
            Code::AuthenticationRequired => "Log in with POST /api/v1/session.",
            Code::InvalidToken | Code::TokenExpired => "Log in again with POST /api/v1/session.",
            Code::ProofWanted => {
                "Prove the session's key again, with the nonce of the DPoP-Nonce header and the time of Date."
            }
            Code::InvalidProof => {
                "Make a new proof for each request: its method, its URL, its token, a name of its own."
            }
            Code::WrongCredentials => "Check both and try again.",
            Code::PermissionDenied => "The request did not come from this site's own pages.",
            Code::MfaRequired => "Show it with POST /api/v1/session/mfa.",
            Code::EnrolmentRequired => "Enrol one with POST /api/v1/mfa/totp or POST /api/v1/passkeys.",
            Code::StepUpRequired => "Show a password, a code or a passkey with POST /api/v1/session/step-up.",
            Code::WrongProof => "Try again with a new code or another proof.",
            Code::NotFound => "Compare the path with /openapi.json.",
            Code::NodeNotFound => "It never existed, or was deleted for ever.",
            Code::SessionNotFound => "It never existed, or has ended.",
            Code::TokenNotFound => "It never existed, or was revoked.",
            Code::FactorNotFound => "It was never enrolled, or was taken away.",
            Code::TicketNotFound => "It has ended, or its session has: make another one.",
            Code::UploadNotFound => "It never was, is complete, or was cancelled.",
            Code::MethodNotAllowed => "The Allow header lists the methods that work here.",
            Code::RequestTimeout => "Send it again, faster.",
            Code::Duplicate => "Choose another name, or say what to do with on_conflict.",
            Code::Conflict => "Look at it again, then decide.",
            Code::UploadIncomplete => "Send and confirm what is missing; GET the upload to see it.",
            Code::UploadBusy => "Try again in a moment.",
            Code::SaltReused => "Seal the part again: every encryption draws a fresh salt.",
            Code::UploadExpired => "Begin again.",
            Code::UploadDamaged => "Look at the upload: send its parts again, or begin again where it is gone.",
            Code::PreconditionFailed => "Read it again, then repeat the change with its new ETag.",
            Code::BodyTooLarge => "Send less.",
            Code::FileTooLarge => "The operator sets the limit with MAX_FILE_SIZE.",
            Code::StorageLimit => "Delete something for ever, or raise STORAGE_LIMIT.",
            Code::UnsupportedMediaType => "Send application/json; content goes as application/octet-stream.",
            Code::TypeMismatch => "Declare the type that the content has, or none.",
            Code::RangeNotSatisfiable => "Ask for one range of bytes inside the content.",
            Code::RateLimited => "Wait for as long as the Retry-After header says.",
            Code::Internal => "The log of the vault says more: search for the request id.",
            Code::Corrupt => "The bucket changed or lost bytes of this. Nothing was served in their place.",
            Code::NotReady => "Try again in a moment; /health/ready says what it waits for.",
            Code::ReadOnly => "/health/ready says why; the operator decides how to go on.",
            Code::Busy => "Try again in a moment.",
            Code::RedisUnavailable => "Try again when Redis is back; nothing is lost meanwhile.",
            Code::StorageUnavailable => "Try again when the bucket is back.",
            Code::OutcomeUnknown => "Look before repeating it; with an Idempotency-Key a repetition is safe.",
        }
    }
}

/// A refusal on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// The problem of `code` with its own advice as detail.
    pub fn new(code: Code) -> Self {
        Self { code, detail: Cow::Borrowed(code.advice()), headers: Vec::new() }
    }

    /// With a sentence that says more; **must** not carry a secret, a name, or the server's inner life.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// With a header of the answer; a value that no header can have is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).map(|value| (name, value)));
        self
    }

    /// Its kind.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What happened and what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer to the request of this id.
    pub fn render(&self, request_id: &str) -> poem::Response {
        let json = self.body(request_id).to_json_string();
        let mut response = poem::Response::builder().status(self.code.status()).body(json);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.extend(self.headers.iter().cloned());
        if self.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, challenge(self.code));
        }
        response
    }

    fn body(&self, request_id: &str) -> Body {
        Body {
            kind: format!("urn:coffer:problem:{}", self.code.name().to_ascii_lowercase().replace('_', "-")),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone().into_owned(),
            code: self.code.name().to_owned(),
            request_id: request_id.to_owned(),
        }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.code.status()
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        let code = match error {
            VaultError::NotFound => Code::NodeNotFound,
            VaultError::InvalidName(_) => Code::InvalidName,
            VaultError::InvalidMediaType(_) => Code::UnsupportedMediaType,
            VaultError::InvalidCursor => Code::InvalidRequest,
            VaultError::Exists { .. } => Code::Duplicate,
            VaultError::NotAFolder
            | VaultError::NotAFile
            | VaultError::IsRoot
            | VaultError::IntoItself
            | VaultError::InTrash
            | VaultError::NotInTrash
            | VaultError::IsCurrent
            | VaultError::IdempotencyConflict
            | VaultError::LimitExceeded { .. } => Code::Conflict,
            VaultError::PreconditionFailed => Code::PreconditionFailed,
            VaultError::TooLarge { .. } => Code::FileTooLarge,
            VaultError::StorageFull { .. } => Code::StorageLimit,
            VaultError::WrongLength => Code::InvalidRequest,
            VaultError::WrongMediaType { .. } => Code::TypeMismatch,
            VaultError::TooManyUploads => Code::Busy,
            VaultError::UploadIncomplete { .. } => Code::UploadIncomplete,
            VaultError::SaltReused { .. } => Code::SaltReused,
            VaultError::NotSigned { .. } => Code::Conflict,
            VaultError::InvalidPart { .. } => Code::InvalidRequest,
            VaultError::UploadNotFound => return Code::UploadNotFound.into(),
            VaultError::UploadExpired => return Code::UploadExpired.into(),
            VaultError::UploadBusy => return Self::new(Code::UploadBusy).with_header(RETRY_AFTER, "1"),
            VaultError::UploadDamaged => return Code::UploadDamaged.into(),
            VaultError::StateUnavailable => return Code::RedisUnavailable.into(),
            VaultError::Interrupted(kind) => return interrupted(kind).into(),
            VaultError::Inconsistent => return Code::Internal.into(),
            // Why is for the operator: health and log say it.
            VaultError::ReadOnly { .. } => return Code::ReadOnly.into(),
            VaultError::NotServing => return Code::NotReady.into(),
            VaultError::OutcomeUnknown => return Code::OutcomeUnknown.into(),
            VaultError::StorageUnavailable => return Code::StorageUnavailable.into(),
            VaultError::Corrupt => return Code::Corrupt.into(),
        };
        Self::new(code).with_detail(sentence(&error.to_string()))
    }
}

impl From<InvalidName> for Problem {
    fn from(error: InvalidName) -> Self {
        VaultError::from(error).into()
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::InvalidToken => Code::InvalidToken.into(),
            SessionError::TokenExpired => Code::TokenExpired.into(),
            SessionError::WrongCredentials => Code::WrongCredentials.into(),
            SessionError::RateLimited { retry_after_secs } | SessionError::LockedOut { retry_after_secs } => {
                Self::new(Code::RateLimited).with_header(RETRY_AFTER, &retry_after_secs.to_string())
            }
            SessionError::ProofWanted => Code::ProofWanted.into(),
            SessionError::InvalidProof => Code::InvalidProof.into(),
            // Whoever has the copy learns no more than that it is worth nothing.
            SessionError::Suspicious { .. } => Code::InvalidToken.into(),
            SessionError::InvalidTicket => Code::TicketNotFound.into(),
            SessionError::Busy => Self::new(Code::Busy).with_header(RETRY_AFTER, "1"),
            SessionError::RedisUnavailable => Code::RedisUnavailable.into(),
        }
    }
}

/// How to be let in (RFC 9110, section 11.6.1; RFC 9449, section 7.1).
fn challenge(code: Code) -> HeaderValue {
    HeaderValue::from_static(match code {
        Code::ProofWanted => r#"DPoP realm="coffer", algs="ES256", error="use_dpop_nonce""#,
        Code::InvalidProof => r#"DPoP realm="coffer", algs="ES256", error="invalid_dpop_proof""#,
        _ => r#"Bearer realm="coffer", DPoP algs="ES256""#,
    })
}

impl From<FactorError> for Problem {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Wrong => Code::WrongProof.into(),
            FactorError::NotFound => Code::FactorNotFound.into(),
            FactorError::Vault(error) => error.into(),
            FactorError::Enrolled | FactorError::Alone | FactorError::Last | FactorError::TooMany => {
                Self::new(Code::Conflict).with_detail(sentence(&error.to_string()))
            }
        }
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Session(error) => error.into(),
            ProofError::Factor(error) => error.into(),
        }
    }
}

/// Why a body broke off: too slow, its session ended, or its sender went away.
fn interrupted(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::TimedOut => Code::RequestTimeout,
        ErrorKind::PermissionDenied => Code::InvalidToken,
        _ => Code::InvalidRequest,
    }
}

/// An error's lower-case words as a sentence.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// The problem that an error of the framework stands for; `allow` knows the methods of the route it came from.
pub fn of_framework(error: &poem::Error, allow: impl FnOnce() -> Option<String>) -> Problem {
    use poem::error as poem_error;
    use poem_openapi::error as openapi_error;

    if let Some(problem) = error.downcast_ref::<Problem>() {
        return problem.clone();
    }
    if error.is::<poem_error::NotFoundError>() {
        return Code::NotFound.into();
    }
    if error.is::<poem_error::MethodNotAllowedError>() {
        return Problem::new(Code::MethodNotAllowed).with_header(ALLOW, &allow().unwrap_or_default());
    }
    // An id that no id looks like is the id of nothing; the framework's own words would leak its internal names.
    if error.is::<openapi_error::ParsePathError>() || error.is::<poem_error::ParsePathError>() {
        return Code::NodeNotFound.into();
    }
    if let Some(parameter) = error.downcast_ref::<openapi_error::ParseParamError>() {
        let detail = format!("The parameter {} is not valid: compare it with /openapi.json.", parameter.name);
        return Problem::new(Code::InvalidRequest).with_detail(detail);
    }
    if let Some(body) = error.downcast_ref::<openapi_error::ParseRequestPayloadError>() {
        let detail = format!("The body is not what this operation takes: {}", without_values(&body.reason));
        return Problem::new(Code::InvalidRequest).with_detail(detail);
    }
    if error.is::<openapi_error::ContentTypeError>() {
        return Code::UnsupportedMediaType.into();
    }
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge.into(),
        status if status.is_client_error() => Code::InvalidRequest.into(),
        _ => {
            tracing::error!(%error, "a request failed inside the framework");
            Code::Internal.into()
        }
    }
}

/// The framework quotes the value that it did not expect; a value may be a password.
fn without_values(reason: &str) -> String {
    let kept = reason.split(", found ").next().unwrap_or_default();
    kept.chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_statuses_are_errors() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.status().is_client_error() || code.status().is_server_error()));
    }

    #[test]
    fn every_code_is_documented_beside_its_status() {
        let page = include_str!("../../docs/api.md");
        for code in Code::ALL {
            let row = format!("| {} |", code.status().as_u16());
            let line = page.lines().find(|line| line.starts_with(&row)).unwrap_or_default();
            assert!(line.contains(&format!("`{}`", code.name())), "docs/api.md lacks {} {}", row, code.name());
        }
    }

    #[tokio::test]
    async fn a_problem_is_rendered_with_its_headers() {
        let problem = Problem::new(Code::RateLimited).with_header(RETRY_AFTER, "7");
        let response = problem.render("id");
        assert_eq!(response.status(), 429);
        assert_eq!(response.header("retry-after"), Some("7"));
        assert_eq!(response.content_type(), Some(PROBLEM_JSON));
        let body: serde_json::Value = response.into_body().into_json().await.unwrap();
        assert_eq!(body["code"], "RATE_LIMITED");
        assert_eq!(body["request_id"], "id");
        assert_eq!(body["type"], "urn:coffer:problem:rate-limited");
        assert_eq!(body.as_object().unwrap().len(), 6);
    }

    #[test]
    fn framework_errors_leak_neither_values_nor_internal_names() {
        let cases: Vec<(poem::Error, Code)> = vec![
            (
                poem_openapi::error::ParsePathError { name: "param0", reason: "secret".into() }.into(),
                Code::NodeNotFound,
            ),
            (
                poem_openapi::error::ParseRequestPayloadError {
                    reason: "Expected input type \"string\", found \"secret\".".into(),
                }
                .into(),
                Code::InvalidRequest,
            ),
            (
                poem_openapi::error::ParseParamError { name: "limit", reason: "secret".into() }.into(),
                Code::InvalidRequest,
            ),
            (poem_openapi::error::ContentTypeError::ExpectContentType.into(), Code::UnsupportedMediaType),
            (poem::error::NotFoundError.into(), Code::NotFound),
            (poem::Error::from_string("secret", StatusCode::INTERNAL_SERVER_ERROR), Code::Internal),
            (poem::Error::from_string("secret", StatusCode::IM_A_TEAPOT), Code::InvalidRequest),
        ];
        for (error, code) in cases {
            let problem = of_framework(&error, || None);
            assert_eq!(problem.code(), code, "{error}");
            assert!(!problem.detail.contains("secret") && !problem.detail.contains("param0"), "{problem}");
        }
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        let error = poem::error::MethodNotAllowedError.into();
        let response = of_framework(&error, || Some("GET, HEAD".into())).render("id");
        assert_eq!(response.header("allow"), Some("GET, HEAD"));
    }
}
