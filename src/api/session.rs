//! `/session`: logging in and out, and who is logged in.

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use time::OffsetDateTime;

use super::Context;
use super::caller::{Caller, client_info, cookie_name, same_origin};
use super::openapi::Tag;
use super::problem::{Changing, LoggingIn, Problem, Reading, Refused};
use super::schema::time_of;
use super::text::{GivenEmail, GivenPassword};
use crate::owner::Demand;
use crate::session::{self, Login, NewSession, SessionId, SessionState, SessionView};

/// How the session travels from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Transport {
    /// In a cookie that scripts cannot read: for browsers.
    Cookie,
    /// In the `Authorization` header: for programs.
    Bearer,
}

/// Who wants in.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct Credentials {
    /// The owner's e-mail.
    email: GivenEmail,
    /// The owner's password.
    password: GivenPassword,
    /// How the session travels.
    transport: Transport,
}

/// A session.
#[derive(Debug, Clone, Object)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// What it may do.
    pub state: State,
    /// How it travels.
    pub transport: Transport,
    /// What a request must show beside the token.
    pub binding: Binding,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it was last used, to the minute.
    pub last_seen_at: OffsetDateTime,
    /// When it ends, used or not.
    pub expires_at: OffsetDateTime,
    /// The address it was last used from.
    pub address: String,
    /// What the client seems to be.
    pub device: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// What a session is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SessionBinding", rename_all = "snake_case")]
pub enum Binding {
    /// A key of the client: each request proves it in the header `DPoP`.
    Key,
    /// The client's program, system and language.
    Client,
}

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SessionState", rename_all = "snake_case")]
pub enum State {
    /// Everything.
    Active,
    /// Show a second factor, and log out.
    MfaRequired,
    /// Enrol a second factor, and log out.
    EnrolRequired,
}

/// What a login gives.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct LoggedIn {
    /// The bearer token; absent with `transport: cookie`.
    pub access_token: Option<String>,
    /// When the session ends, used or not.
    pub expires_at: OffsetDateTime,
    /// The session.
    pub session: Session,
}

/// The session goes on under a new id.
#[derive(ApiResponse)]
pub enum Renewed {
    /// The session's new token; the old one is good no more.
    #[oai(status = 200)]
    Renewed(
        Json<LoggedIn>,
        /// The session's new cookie, where it travels in one.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

impl Renewed {
    /// For the caller whose session was renewed, as what is asked of the owner now.
    pub fn of(caller: &Caller, made: &NewSession) -> Result<Self, Problem> {
        let (body, cookie) = issued(&caller.context, made, caller.floors().factors.demand()?);
        Ok(Self::Renewed(Json(body), cookie))
    }
}

/// A session was made.
#[derive(ApiResponse)]
pub enum Created {
    /// Logged in; what the session may do is its `state`.
    #[oai(status = 201)]
    Created(
        Json<LoggedIn>,
        /// The session's cookie, with `transport: cookie`.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

/// A session has ended.
#[derive(ApiResponse)]
pub enum Ended {
    /// Logged out.
    #[oai(status = 204)]
    Ended(
        /// Takes the cookie away.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

/// The handlers of `/session`.
pub struct CurrentSession;

#[OpenApi(prefix_path = "/session", tag = "Tag::Sessions")]
impl CurrentSession {
    /// Log in
    ///
    /// With `transport: cookie` the token is in the cookie alone, and the request must come from this origin. With a proof
    /// of possession in the header `DPoP` the session is bound to its key.
    #[oai(path = "/", method = "post", operation_id = "log_in")]
    async fn log_in(&self, request: &Request, credentials: Json<Credentials>) -> Result<Created, Refused<LoggingIn>> {
        let context = Context::of(request);
        let Credentials { email, password, transport } = credentials.0;
        if transport == Transport::Cookie {
            same_origin(request.headers(), &context.coffer.http.public_url)?;
        }
        let floors = context.coffer.floors()?;
        let epoch = floors.vault.session_epoch()?;
        let client = client_info(context);
        let login = Login { email: email.0, password: password.0, transport: transport.into(), client };
        let demand = floors.factors.demand()?;
        let made = floors.sessions.log_in(login, &floors.owner, demand, epoch).await?;
        let (body, cookie) = issued(context, &made, demand);
        Ok(Created::Created(Json(body), cookie))
    }

    /// Who am I
    #[oai(path = "/", method = "get", operation_id = "get_session")]
    async fn show(&self, caller: Caller) -> Result<Json<Session>, Refused<Reading>> {
        let view = &caller.session.view;
        Ok(Json(Session::new(view, &view.id, caller.demand)))
    }

    /// Log out
    #[oai(path = "/", method = "delete", operation_id = "log_out")]
    async fn log_out(&self, caller: Caller) -> Result<Ended, Refused<Changing>> {
        let view = &caller.session.view;
        caller.floors().sessions.revoke(view.id).await?;
        let cookie = (view.transport == session::Transport::Cookie).then(|| cookie(&caller.context, "", 0));
        Ok(Ended::Ended(cookie))
    }
}

impl Session {
    /// A session as the holder of `current` sees it.
    pub fn new(view: &SessionView, current: &SessionId, demand: Demand) -> Self {
        Self {
            id: view.id.to_string(),
            state: view.state(demand).into(),
            transport: view.transport.into(),
            binding: view.binding.into(),
            created_at: time_of(view.created_ms),
            last_seen_at: time_of(view.last_seen_ms),
            expires_at: time_of(view.expires_ms),
            address: view.address.clone(),
            device: view.device.clone(),
            current: view.id == *current,
        }
    }
}

/// What the client gets of a new or renewed session: the body, and the cookie where it travels in one.
pub fn issued(context: &Context, made: &NewSession, demand: Demand) -> (LoggedIn, Option<String>) {
    let session = Session::new(&made.session, &made.session.id, demand);
    let life_secs = made.expires_at_ms.saturating_sub(made.session.created_ms) / 1000;
    let token = made.token.expose();
    let (access_token, cookie) = match made.session.transport {
        session::Transport::Bearer => (Some(token.to_owned()), None),
        session::Transport::Cookie => (None, Some(cookie(context, token, life_secs))),
    };
    (LoggedIn { access_token, expires_at: time_of(made.expires_at_ms), session }, cookie)
}

fn cookie(context: &Context, value: &str, life_secs: u64) -> String {
    let url = &context.coffer.http.public_url;
    let secure = if url.scheme() == "https" { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={life_secs}; HttpOnly; SameSite=Strict{secure}", cookie_name(url))
}

impl From<Transport> for session::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Cookie => Self::Cookie,
            Transport::Bearer => Self::Bearer,
        }
    }
}

impl From<session::Binding> for Binding {
    fn from(binding: session::Binding) -> Self {
        match binding {
            session::Binding::Key => Self::Key,
            session::Binding::Client => Self::Client,
        }
    }
}

impl From<session::Transport> for Transport {
    fn from(transport: session::Transport) -> Self {
        match transport {
            session::Transport::Cookie => Self::Cookie,
            session::Transport::Bearer => Self::Bearer,
        }
    }
}

impl From<SessionState> for State {
    fn from(state: SessionState) -> Self {
        match state {
            SessionState::Active => Self::Active,
            SessionState::MfaRequired => Self::MfaRequired,
            SessionState::EnrolRequired => Self::EnrolRequired,
        }
    }
}
