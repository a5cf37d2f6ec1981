//! `/passkeys`: the owner's passkeys.

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use time::OffsetDateTime;

use super::caller::Caller;
use super::openapi::Tag;
use super::proofs::{CredentialRef, base64url};
use super::refused::{Changing, Proving, Reading, Refused};
use super::schema::time_of;
use super::session::{LoggedIn, Renewed, Session, issued};
use super::text::{GivenBytes, PasskeyName, PasskeyRef};
use crate::owner::{ALGORITHMS, PasskeyView, Registration};
use crate::session::CHALLENGE_LIFE_MS;

/// A passkey.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Passkey {
    /// Its id.
    id: String,
    /// The owner's name for it.
    name: String,
    /// When it was enrolled.
    created_at: OffsetDateTime,
    /// When it was last used; absent where it never was.
    last_used_at: Option<OffsetDateTime>,
    /// Whether it is kept on other devices too, as far as it said.
    backed_up: bool,
}

/// All passkeys.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct PasskeyPage {
    /// The passkeys, the oldest first.
    items: Vec<Passkey>,
    /// Always absent: passkeys are listed whole.
    next: Option<String>,
    /// How many there are.
    total: u64,
}

/// What `PublicKeyCredential.parseCreationOptionsFromJSON()` takes.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PasskeyCreation {
    /// Whom the passkey is for.
    rp: RelyingPartyEntity,
    /// Who it is for there.
    user: UserEntity,
    /// To be answered within `timeout`.
    challenge: String,
    /// For how long, in milliseconds.
    timeout: u64,
    /// The kinds of keys that are taken, the preferred one first.
    pub_key_cred_params: Vec<CredentialKind>,
    /// Passkeys that are enrolled already.
    exclude_credentials: Vec<CredentialRef>,
    /// What the authenticator must do.
    authenticator_selection: AuthenticatorSelection,
    /// Always `none`.
    attestation: String,
}

/// Whom a passkey is for.
#[derive(Debug, Object)]
pub struct RelyingPartyEntity {
    /// The host's name.
    id: String,
    /// What people call it.
    name: String,
}

/// Who a passkey is for.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct UserEntity {
    /// Always the same for one vault, base64url.
    id: String,
    /// The owner's e-mail.
    name: String,
    /// The same.
    display_name: String,
}

/// A kind of key.
#[derive(Debug, Object)]
pub struct CredentialKind {
    /// Always `public-key`.
    #[oai(rename = "type")]
    kind: String,
    /// The COSE number of its algorithm.
    alg: i64,
}

/// What the authenticator must do.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct AuthenticatorSelection {
    /// Always `required`: the passkey is found without its id.
    resident_key: String,
    /// The same for older browsers.
    require_resident_key: bool,
    /// Always `required`.
    user_verification: String,
}

/// A new passkey: the members of `PublicKeyCredential.toJSON()` that decide.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct NewPasskey {
    /// The owner's name for it.
    name: PasskeyName,
    /// `response.clientDataJSON`.
    client_data_json: GivenBytes,
    /// `response.attestationObject`.
    attestation_object: GivenBytes,
}

/// What to change about a passkey.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct PasskeyPatch {
    /// Another name.
    name: PasskeyName,
}

/// A passkey that was enrolled, and the session that goes on.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct EnrolledPasskey {
    /// The passkey.
    passkey: Passkey,
    /// The bearer token; absent where the session travels in a cookie.
    access_token: Option<String>,
    /// When the session ends, used or not.
    expires_at: OffsetDateTime,
    /// The session.
    session: Session,
}

/// A passkey was enrolled.
#[derive(ApiResponse)]
pub enum PasskeyCreated {
    /// Enrolled; the session's old token is good no more.
    #[oai(status = 201)]
    Created(
        Json<EnrolledPasskey>,
        /// The session's new cookie, where it travels in one.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

/// The handlers of `/passkeys`.
pub struct Passkeys;

#[OpenApi(prefix_path = "/passkeys", tag = "Tag::Factors")]
impl Passkeys {
    /// List the passkeys
    #[oai(path = "/", method = "get", operation_id = "list_passkeys")]
    async fn list(&self, caller: Caller) -> Result<Json<PasskeyPage>, Refused<Reading>> {
        let items: Vec<_> = caller.floors().factors.enrolled()?.passkeys.into_iter().map(Passkey::from).collect();
        Ok(Json(PasskeyPage { total: items.len() as u64, items, next: None }))
    }

    /// Ask for a challenge to enrol a passkey
    #[oai(path = "/options", method = "post", operation_id = "begin_passkey")]
    async fn begin(&self, caller: Caller) -> Result<Json<PasskeyCreation>, Refused<Proving>> {
        let floors = caller.floors();
        let known = floors.factors.enrolled()?.passkeys;
        let (host, email) = (floors.factors.party().id().to_owned(), floors.owner.email().to_owned());
        let required = || "required".to_owned();
        Ok(Json(PasskeyCreation {
            rp: RelyingPartyEntity { name: format!("Coffer on {host}"), id: host },
            user: UserEntity {
                id: base64url(&floors.sessions.user_handle()),
                name: email.clone(),
                display_name: email,
            },
            challenge: base64url(&floors.sessions.enrolment_challenge(&caller.session)),
            timeout: CHALLENGE_LIFE_MS,
            pub_key_cred_params: ALGORITHMS.map(|alg| CredentialKind { kind: "public-key".to_owned(), alg }).into(),
            exclude_credentials: known.iter().map(|passkey| CredentialRef::new(&passkey.credential_id)).collect(),
            authenticator_selection: AuthenticatorSelection {
                resident_key: required(),
                require_resident_key: true,
                user_verification: required(),
            },
            attestation: "none".to_owned(),
        }))
    }

    /// Enrol a passkey
    ///
    /// Every other session ends, and this one goes on under a new token.
    #[oai(path = "/", method = "post", operation_id = "create_passkey")]
    async fn create(&self, caller: Caller, new: Json<NewPasskey>) -> Result<PasskeyCreated, Refused<Proving>> {
        let NewPasskey { name, client_data_json, attestation_object } = new.0;
        let registration = Registration { client_data: client_data_json.0, attestation: attestation_object.0 };
        let floors = caller.floors();
        let (session, factors) = (&caller.session, &floors.factors);
        let enrolled = floors.sessions.enrol_passkey(session, registration, name.0, caller.actor(), factors).await?;
        let (passkey, made) = (Passkey::from(enrolled.0), enrolled.1);
        let (LoggedIn { access_token, expires_at, session }, cookie) =
            issued(&caller.context, &made, factors.demand()?);
        Ok(PasskeyCreated::Created(Json(EnrolledPasskey { passkey, access_token, expires_at, session }), cookie))
    }

    /// Rename a passkey
    #[oai(path = "/:id", method = "patch", operation_id = "rename_passkey")]
    async fn rename(
        &self,
        caller: Caller,
        id: Path<PasskeyRef>,
        patch: Json<PasskeyPatch>,
    ) -> Result<Json<Passkey>, Refused<Changing>> {
        let factors = &caller.floors().factors;
        let renamed = factors.rename_passkey(caller.actor(), id.0.0, patch.0.name.0).await?;
        Ok(Json(renamed.into()))
    }

    /// Take a passkey away
    ///
    /// Every other session ends, and this one goes on under a new token. The recovery codes go with the last factor.
    #[oai(path = "/:id", method = "delete", operation_id = "remove_passkey")]
    async fn remove(&self, caller: Caller, id: Path<PasskeyRef>) -> Result<Renewed, Refused<Changing>> {
        let floors = caller.floors();
        floors.factors.remove_passkey(caller.actor(), id.0.0).await?;
        let made = floors.sessions.factors_changed(&caller.session, false).await?;
        Ok(Renewed::of(&caller, &made)?)
    }
}

impl From<PasskeyView> for Passkey {
    fn from(view: PasskeyView) -> Self {
        Self {
            id: view.id.as_str().to_owned(),
            name: view.name,
            created_at: time_of(view.created_ms),
            last_used_at: view.used_ms.map(time_of),
            backed_up: view.backed_up,
        }
    }
}
