//! `/mfa`: the authenticator app and the recovery codes.

use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use time::OffsetDateTime;

use super::caller::Caller;
use super::openapi::Tag;
use super::qr::qr_path;
use super::refused::{Changing, Proving, Reading, Refused};
use super::schema::time_of;
use super::session::{LoggedIn, Renewed, Session, issued};
use super::text::GivenCode;

/// What is enrolled.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Mfa {
    /// Whether the settings require a second factor.
    required: bool,
    /// Since when there is an authenticator app; absent where there is none.
    totp_at: Option<OffsetDateTime>,
    /// How many recovery codes are left.
    recovery_codes: u64,
    /// How many passkeys there are.
    passkeys: u64,
}

/// An authenticator app that is being enrolled.
#[derive(Debug, Object)]
pub struct TotpEnrolment {
    /// The secret, as people type it.
    secret: String,
    /// The same as apps read it.
    uri: String,
    /// The same as a picture.
    qr: QrPicture,
}

/// A QR code: `<svg viewBox="0 0 {side} {side}"><path d="{path}"/></svg>`.
#[derive(Debug, Object)]
pub struct QrPicture {
    /// Width and height.
    side: u32,
    /// What is dark.
    path: String,
}

/// The first code of an app.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct FirstCode {
    /// The code.
    code: GivenCode,
}

/// New recovery codes, and the session that goes on.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct NewRecoveryCodes {
    /// The codes, shown this once.
    recovery_codes: Vec<String>,
    /// The bearer token; absent where the session travels in a cookie.
    access_token: Option<String>,
    /// When the session ends, used or not.
    expires_at: OffsetDateTime,
    /// The session.
    session: Session,
}

/// New recovery codes.
#[derive(ApiResponse)]
pub enum RecoveryCodesMade {
    /// Earlier codes are good no more, and neither is the session's old token.
    #[oai(status = 201)]
    Made(
        Json<NewRecoveryCodes>,
        /// The session's new cookie, where it travels in one.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

/// The handlers of `/mfa`.
pub struct SecondFactors;

#[OpenApi(prefix_path = "/mfa", tag = "Tag::Factors")]
impl SecondFactors {
    /// Show what is enrolled
    #[oai(path = "/", method = "get", operation_id = "get_mfa")]
    async fn show(&self, caller: Caller) -> Result<Json<Mfa>, Refused<Reading>> {
        let enrolled = caller.floors().factors.enrolled()?;
        Ok(Json(Mfa {
            required: enrolled.required,
            totp_at: enrolled.totp_ms.map(time_of),
            recovery_codes: enrolled.recovery_codes as u64,
            passkeys: enrolled.passkeys.len() as u64,
        }))
    }

    /// Begin to enrol an authenticator app
    ///
    /// Nothing changes before its first code is confirmed, within 10 minutes and by the same session.
    #[oai(path = "/totp", method = "post", operation_id = "begin_totp")]
    async fn begin_totp(&self, caller: Caller) -> Result<Json<TotpEnrolment>, Refused<Proving>> {
        let floors = caller.floors();
        let secret = floors.sessions.begin_totp(&caller.session).await?;
        let uri = secret.uri(floors.owner.email());
        // An address of the longest allowed length still fits into a code.
        let (side, path) = qr_path(&uri).unwrap_or_default();
        let (secret, uri) = (secret.base32().to_string(), uri.to_string());
        Ok(Json(TotpEnrolment { secret, uri, qr: QrPicture { side, path } }))
    }

    /// Confirm an authenticator app by its first code
    ///
    /// It takes the place of an earlier one. Every other session ends, and this one goes on under a new token.
    #[oai(path = "/totp/confirm", method = "post", operation_id = "confirm_totp")]
    async fn confirm_totp(&self, caller: Caller, first: Json<FirstCode>) -> Result<Renewed, Refused<Proving>> {
        let sessions = &caller.floors().sessions;
        let code = &first.0.code.0;
        let made = sessions.confirm_totp(&caller.session, code, caller.asker(), caller.identity()).await?;
        Ok(Renewed::of(&caller, &made)?)
    }

    /// Take the authenticator app away
    ///
    /// Every other session ends, and this one goes on under a new token. The recovery codes go with the last factor.
    #[oai(path = "/totp", method = "delete", operation_id = "remove_totp")]
    async fn remove_totp(&self, caller: Caller) -> Result<Renewed, Refused<Changing>> {
        let floors = caller.floors();
        floors.factors.remove_totp(caller.actor()).await?;
        let made = floors.sessions.factors_changed(&caller.session, false).await?;
        Ok(Renewed::of(&caller, &made)?)
    }

    /// Make new recovery codes
    ///
    /// Ten, each good for one time; earlier ones are good no more. Every other session ends, and this one goes on under a
    /// new token.
    #[oai(path = "/recovery-codes", method = "post", operation_id = "make_recovery_codes")]
    async fn make_recovery_codes(&self, caller: Caller) -> Result<RecoveryCodesMade, Refused<Proving>> {
        let floors = caller.floors();
        let codes = floors.factors.renew_recovery_codes(caller.actor(), floors.sessions.now_ms()).await?;
        let made = floors.sessions.factors_changed(&caller.session, false).await?;
        let (LoggedIn { access_token, expires_at, session }, cookie) = issued(&caller.context, &made, caller.demand);
        let recovery_codes = codes.iter().map(|code| code.to_string()).collect();
        let body = NewRecoveryCodes { recovery_codes, access_token, expires_at, session };
        Ok(RecoveryCodesMade::Made(Json(body), cookie))
    }
}
