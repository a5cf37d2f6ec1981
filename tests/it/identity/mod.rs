//! Who the owner is: second factors, passkeys, fresh proofs, and what each of them opens.

mod factors;
mod http;
mod passkey;
mod reset;

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE32_NOPAD;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::authenticator::{Authenticator, Ceremony};
use crate::kit::coffer::{Coffer, EMAIL, Login, PASSWORD, json_of};

/// An authenticator app.
struct App {
    secret: Vec<u8>,
    used: BTreeSet<u64>,
}

impl App {
    fn new(secret: &str) -> Self {
        Self { secret: BASE32_NOPAD.decode(secret.as_bytes()).unwrap(), used: BTreeSet::new() }
    }

    /// A code that counts now and was not shown before: this step's, else the next one's, else one that is waited for.
    async fn code(&mut self) -> String {
        loop {
            let step = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 30;
            if let Some(step) = [step, step + 1].into_iter().find(|step| !self.used.contains(step)) {
                self.used.insert(step);
                return code_of(&self.secret, step * 30);
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

fn code_of(secret: &[u8], secs: u64) -> String {
    let totp = totp_rs::Builder::new().with_secret(<[u8; 20]>::try_from(secret).unwrap()).build().unwrap();
    totp.generate(secs).to_string()
}

/// The session that goes on after an answer.
fn renewed(login: &Login, answer: &Value) -> Login {
    Login { token: answer["access_token"].as_str().unwrap().to_owned(), ..login.clone() }
}

async fn post(login: &Login, path: &str, body: &Value) -> Response {
    login.request(Method::POST, path).json(body).send().await.unwrap()
}

async fn posted(login: &Login, path: &str, body: &Value) -> Value {
    json_of(post(login, path, body).await, StatusCode::OK).await
}

/// Enrols an authenticator app.
async fn enrol_app(login: &Login) -> (App, Login) {
    let begun = posted(login, "/mfa/totp", &json!({})).await;
    let mut app = App::new(begun["secret"].as_str().unwrap());
    let answer = posted(login, "/mfa/totp/confirm", &json!({"code": app.code().await})).await;
    (app, renewed(login, &answer))
}

/// Enrols a passkey.
async fn enrol_passkey(coffer: &Coffer, login: &Login) -> (Authenticator, Login) {
    let options = posted(login, "/passkeys/options", &json!({})).await;
    let key = Authenticator::new();
    let body = key.register_json(&Ceremony::asked(&options, &coffer.url("")), "Laptop");
    let answer = login.create("/passkeys", &body).await;
    (key, renewed(login, &answer))
}

/// Logs in with a passkey alone.
async fn passkey_login(coffer: &Coffer, key: &mut Authenticator) -> Response {
    let options = coffer.client.post(coffer.url("/api/v1/session/passkey/options")).send().await.unwrap();
    let options = json_of(options, StatusCode::OK).await;
    key.counter += 1;
    let passkey = key.answer_json(&Ceremony::asked(&options, &coffer.url("")));
    let body = json!({"passkey": passkey, "transport": "bearer"});
    coffer.client.post(coffer.url("/api/v1/session/passkey")).json(&body).send().await.unwrap()
}

async fn password_login(coffer: &Coffer, password: &str) -> Response {
    let body = json!({"email": EMAIL, "password": password, "transport": "bearer"});
    coffer.client.post(coffer.url("/api/v1/session")).json(&body).send().await.unwrap()
}

/// Logs in with the password, to whatever state that leads.
async fn half_login(coffer: &Coffer) -> (Login, String) {
    let answer = json_of(password_login(coffer, PASSWORD).await, StatusCode::CREATED).await;
    let state = answer["session"]["state"].as_str().unwrap().to_owned();
    (coffer.login_of(&answer), state)
}

async fn is_alive(login: &Login) -> bool {
    login.request(Method::GET, "/session").send().await.unwrap().status() == StatusCode::OK
}
