//! What the owner shows beside the password: a second factor at login, a passkey alone, a fresh proof later.

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};

use super::Context;
use super::caller::{Caller, client_info, same_origin};
use super::openapi::Tag;
use super::problem::{Code, Problem};
use super::refused::{LoggingIn, Proving, Refused};
use super::session::{Created, Renewed, Transport, issued};
use super::text::{GivenBytes, GivenCode, GivenPassword, GivenRecoveryCode, given};
use crate::owner::{Assertion, Factors};
use crate::session::{Asker, CHALLENGE_LIFE_MS, Proof};
use crate::vault::Actor;

/// A passkey's answer: the members of `PublicKeyCredential.toJSON()` that decide.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct PasskeyAnswer {
    /// `id`.
    credential_id: GivenBytes,
    /// `response.clientDataJSON`.
    client_data_json: GivenBytes,
    /// `response.authenticatorData`.
    authenticator_data: GivenBytes,
    /// `response.signature`.
    signature: GivenBytes,
}

/// A passkey's answer that logs in.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct PasskeyLogin {
    /// The passkey's answer.
    passkey: PasskeyAnswer,
    /// How the session travels.
    transport: Transport,
}

/// A second factor: exactly one member.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct SecondFactor {
    /// A code of the authenticator app.
    totp: MaybeUndefined<GivenCode>,
    /// A recovery code; it works once.
    recovery_code: MaybeUndefined<GivenRecoveryCode>,
    /// A passkey's answer.
    passkey: MaybeUndefined<PasskeyAnswer>,
}

/// A fresh proof: exactly one member.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct FreshProof {
    /// The owner's password.
    password: MaybeUndefined<GivenPassword>,
    /// A code of the authenticator app.
    totp: MaybeUndefined<GivenCode>,
    /// A passkey's answer.
    passkey: MaybeUndefined<PasskeyAnswer>,
}

/// What `PublicKeyCredential.parseRequestOptionsFromJSON()` takes.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PasskeyRequest {
    /// To be answered within `timeout`.
    challenge: String,
    /// For how long, in milliseconds.
    timeout: u64,
    /// Whom the passkeys are for.
    rp_id: String,
    /// The passkeys that may answer; with none, any that the authenticator has for `rpId`.
    allow_credentials: Vec<CredentialRef>,
    /// Always `required`.
    user_verification: String,
}

/// A passkey as authenticators know it.
#[derive(Debug, Object)]
pub struct CredentialRef {
    /// Always `public-key`.
    #[oai(rename = "type")]
    kind: String,
    /// Its id, base64url.
    id: String,
}

/// The handlers of `/session` that take proofs.
pub struct Proofs;

#[OpenApi(prefix_path = "/session", tag = "Tag::Sessions")]
impl Proofs {
    /// Ask for a challenge to log in with a passkey
    #[oai(path = "/passkey/options", method = "post", operation_id = "begin_passkey_login")]
    async fn begin_passkey_login(&self, request: &Request) -> Result<Json<PasskeyRequest>, Refused<LoggingIn>> {
        let floors = Context::of(request).coffer.floors()?;
        // Which passkeys there are is nobody's business before a login.
        Ok(Json(PasskeyRequest::new(&floors.sessions.login_challenge(), &floors.factors, Vec::new())))
    }

    /// Log in with a passkey
    ///
    /// It is both factors in one. Cookies and proofs of possession as with `POST /session`.
    #[oai(path = "/passkey", method = "post", operation_id = "log_in_with_passkey")]
    async fn log_in_with_passkey(
        &self,
        request: &Request,
        login: Json<PasskeyLogin>,
    ) -> Result<Created, Refused<LoggingIn>> {
        let context = Context::of(request);
        let PasskeyLogin { passkey, transport } = login.0;
        if transport == Transport::Cookie {
            same_origin(request.headers(), &context.coffer.http.public_url)?;
        }
        let floors = context.coffer.floors()?;
        let epoch = floors.vault.session_epoch()?;
        let actor = Actor {
            client: Some(context.user_agent.clone()),
            request_id: context.request_id.clone(),
            ..Actor::default()
        };
        let asker = Asker { client: client_info(context), actor };
        let (sessions, factors) = (&floors.sessions, &floors.factors);
        let made = sessions.log_in_with_passkey(passkey.into(), transport.into(), asker, factors, epoch).await?;
        let (body, cookie) = issued(context, &made, floors.factors.demand()?);
        Ok(Created::Created(Json(body), cookie))
    }

    /// Show a second factor
    ///
    /// For a session in the state `mfa_required`. It goes on under a new token.
    #[oai(path = "/mfa", method = "post", operation_id = "show_second_factor")]
    async fn show_second_factor(
        &self,
        caller: Caller,
        factor: Json<SecondFactor>,
    ) -> Result<Renewed, Refused<Proving>> {
        let SecondFactor { totp, recovery_code, passkey } = factor.0;
        let proof = only([
            given(totp)?.map(|code| Proof::Totp(code.0)),
            given(recovery_code)?.map(|code| Proof::Recovery(code.0)),
            given(passkey)?.map(|answer| Proof::Passkey(answer.into())),
        ])?;
        let sessions = &caller.floors().sessions;
        let made = sessions.finish_login(&caller.session, proof, caller.asker(), caller.identity()).await?;
        Ok(Renewed::of(&caller, &made)?)
    }

    /// Ask for a challenge for a passkey of this session
    ///
    /// Its answer goes to `POST /session/mfa` or `POST /session/step-up`.
    #[oai(path = "/step-up/options", method = "post", operation_id = "begin_passkey_proof")]
    async fn begin_passkey_proof(&self, caller: Caller) -> Result<Json<PasskeyRequest>, Refused<Proving>> {
        let floors = caller.floors();
        let passkeys = floors.factors.enrolled()?.passkeys;
        let known = passkeys.iter().map(|passkey| CredentialRef::new(&passkey.credential_id)).collect();
        Ok(Json(PasskeyRequest::new(&floors.sessions.challenge(&caller.session), &floors.factors, known)))
    }

    /// Show a fresh proof
    ///
    /// It counts for 10 minutes. The session goes on under a new token.
    #[oai(path = "/step-up", method = "post", operation_id = "step_up")]
    async fn step_up(&self, caller: Caller, proof: Json<FreshProof>) -> Result<Renewed, Refused<Proving>> {
        let FreshProof { password, totp, passkey } = proof.0;
        let proof = only([
            given(password)?.map(|password| Proof::Password(password.0)),
            given(totp)?.map(|code| Proof::Totp(code.0)),
            given(passkey)?.map(|answer| Proof::Passkey(answer.into())),
        ])?;
        let sessions = &caller.floors().sessions;
        let made = sessions.step_up(&caller.session, proof, caller.asker(), caller.identity()).await?;
        Ok(Renewed::of(&caller, &made)?)
    }
}

impl PasskeyRequest {
    fn new(challenge: &[u8], factors: &Factors, allow_credentials: Vec<CredentialRef>) -> Self {
        Self {
            challenge: base64url(challenge),
            timeout: CHALLENGE_LIFE_MS,
            rp_id: factors.party().id().to_owned(),
            allow_credentials,
            user_verification: "required".to_owned(),
        }
    }
}

impl CredentialRef {
    /// The credential of that id.
    pub fn new(id: &[u8]) -> Self {
        Self { kind: "public-key".to_owned(), id: base64url(id) }
    }
}

impl From<PasskeyAnswer> for Assertion {
    fn from(answer: PasskeyAnswer) -> Self {
        Self {
            credential_id: answer.credential_id.0,
            client_data: answer.client_data_json.0,
            authenticator_data: answer.authenticator_data.0,
            signature: answer.signature.0,
        }
    }
}

/// Bytes as browsers write them.
pub fn base64url(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}

fn only(proofs: [Option<Proof>; 3]) -> Result<Proof, Problem> {
    let mut shown = proofs.into_iter().flatten();
    match (shown.next(), shown.next()) {
        (Some(proof), None) => Ok(proof),
        _ => Err(Problem::new(Code::InvalidRequest).with_detail("Show one proof, neither none nor two.")),
    }
}
