//! Second factors over HTTP, as clients meet them.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{enrol_app, enrol_passkey, half_login, is_alive, passkey_login, password_login, post, posted, renewed};
use crate::kit::authenticator::{Authenticator, Ceremony};
use crate::kit::coffer::{Coffer, PASSWORD, json_of, problem_of};

const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;

#[tokio::test]
async fn an_authenticator_app_is_asked_for_at_every_login_after_its_enrolment() {
    let mut coffer = Coffer::start().await;
    let (login, other) = (coffer.log_in().await, coffer.log_in().await);
    assert_eq!(login.get("/mfa").await, json!({"required": false, "recovery_codes": 0, "passkeys": 0}));
    let begun = posted(&login, "/mfa/totp", &json!({})).await;
    assert!(begun["uri"].as_str().unwrap().starts_with("otpauth://totp/Coffer:owner%40coffer.test?secret="));
    assert!(begun["qr"]["side"].as_u64().unwrap() > 20 && begun["qr"]["path"].as_str().unwrap().starts_with('M'));
    let wrong = post(&login, "/mfa/totp/confirm", &json!({"code": "000000"})).await;
    assert_eq!(problem_of(wrong).await, (FORBIDDEN, "WRONG_PROOF".into()));
    assert!(is_alive(&login).await && is_alive(&other).await, "nothing has changed yet");

    let (mut app, renewed_login) = enrol_app(&login).await;
    assert!(!is_alive(&login).await && !is_alive(&other).await, "the old token and every other session are over");
    let login = renewed_login;
    assert_eq!(login.get("/session").await["state"], "active");
    assert!(login.get("/mfa").await["totp_at"].is_string());

    coffer.restart().await;
    let (half, state) = half_login(&coffer).await;
    assert_eq!(state, "mfa_required");
    for path in ["/nodes/root", "/sessions", "/mfa", "/passkeys"] {
        let refused = half.request(Method::GET, path).send().await.unwrap();
        assert_eq!(problem_of(refused).await, (FORBIDDEN, "MFA_REQUIRED".into()), "{path}");
    }
    let refused = post(&half, "/session/step-up", &json!({"password": PASSWORD})).await;
    assert_eq!(problem_of(refused).await.1, "MFA_REQUIRED", "a password is no second factor");
    let code = app.code().await;
    let whole = renewed(&half, &posted(&half, "/session/mfa", &json!({"totp": code})).await);
    assert!(!is_alive(&half).await, "the token of the half login is nobody's");
    assert_eq!(whole.get("/session").await["state"], "active");
    assert_eq!(whole.get("/nodes/root").await["kind"], "folder");

    let (again, _) = half_login(&coffer).await;
    let replayed = post(&again, "/session/mfa", &json!({"totp": code})).await;
    assert_eq!(problem_of(replayed).await, (FORBIDDEN, "WRONG_PROOF".into()));
}

#[tokio::test]
async fn one_code_shown_fifty_times_at_once_opens_one_session() {
    let coffer = Coffer::start_with(&[("LOGIN_LIMIT", "1000")]).await;
    let (mut app, login) = enrol_app(&coffer.log_in().await).await;
    let made = login.request(Method::POST, "/mfa/recovery-codes").send().await.unwrap();
    let made = json_of(made, StatusCode::CREATED).await;
    let recovery_code = made["recovery_codes"][0].as_str().unwrap().to_owned();
    assert_eq!(made["recovery_codes"].as_array().unwrap().len(), 10);
    let login = renewed(&login, &made);

    for body in [json!({"totp": app.code().await}), json!({"recovery_code": recovery_code})] {
        let mut halves = Vec::new();
        for _ in 0..5 {
            halves.push(half_login(&coffer).await.0);
        }
        let tries = (0..50).map(|number| post(&halves[number % 5], "/session/mfa", &body));
        let mut successes = 0;
        for answer in futures_util::future::join_all(tries).await {
            match answer.status() {
                StatusCode::OK => successes += 1,
                // Five sessions share fifty tries: those of the one that won find it renewed.
                StatusCode::UNAUTHORIZED => {}
                _ => assert_eq!(problem_of(answer).await, (FORBIDDEN, "WRONG_PROOF".into())),
            }
        }
        assert_eq!(successes, 1, "{body}");
    }
    assert_eq!(login.get("/mfa").await["recovery_codes"], 9);
}

#[tokio::test]
async fn a_passkey_is_enrolled_named_used_and_removed() {
    let coffer = Coffer::start().await;
    let (mut key, login) = enrol_passkey(&coffer, &coffer.log_in().await).await;
    let answer = json_of(passkey_login(&coffer, &mut key).await, StatusCode::CREATED).await;
    assert_eq!(answer["session"]["state"], "active", "a passkey is both factors");
    let other = coffer.login_of(&answer);
    assert_eq!(other.get("/nodes/root").await["kind"], "folder");

    let (half, state) = half_login(&coffer).await;
    assert_eq!(state, "mfa_required");
    let options = posted(&half, "/session/step-up/options", &json!({})).await;
    assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
    key.counter += 1;
    let passkey = key.answer_json(&Ceremony::asked(&options, &coffer.url("")));
    let whole = renewed(&half, &posted(&half, "/session/mfa", &json!({"passkey": passkey})).await);
    assert_eq!(whole.get("/session").await["state"], "active");

    let listed = login.get("/passkeys").await;
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((&listed["total"], &listed["items"][0]["name"]), (&json!(1), &json!("Laptop")));
    assert!(listed["items"][0]["last_used_at"].is_string());
    let path = format!("/passkeys/{id}");
    let patched = login.request(Method::PATCH, &path).json(&json!({"name": "Old laptop"})).send().await.unwrap();
    assert_eq!(json_of(patched, StatusCode::OK).await["name"], "Old laptop");
    let removed = json_of(login.request(Method::DELETE, &path).send().await.unwrap(), StatusCode::OK).await;
    assert!(!is_alive(&login).await && !is_alive(&other).await && !is_alive(&whole).await);
    let login = renewed(&login, &removed);
    let gone = login.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(problem_of(gone).await, (StatusCode::NOT_FOUND, "FACTOR_NOT_FOUND".into()));
    assert_eq!(problem_of(passkey_login(&coffer, &mut key).await).await, (FORBIDDEN, "WRONG_PROOF".into()));
    assert_eq!(half_login(&coffer).await.1, "active", "nothing is enrolled any more");
}

#[tokio::test]
async fn strangers_failures_stop_passwords_and_never_a_passkey() {
    let coffer = Coffer::start().await;
    let (mut key, login) = enrol_passkey(&coffer, &coffer.log_in().await).await;
    let mut last = None;
    for _ in 0..7 {
        last = Some(password_login(&coffer, "wrong").await);
    }
    let locked = last.unwrap();
    assert!(locked.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 600);
    assert_eq!(problem_of(locked).await, (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED".into()));
    assert_eq!(password_login(&coffer, PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS);
    for body in [json!({"password": PASSWORD}), json!({"totp": "000000"})] {
        let refused = post(&login, "/session/step-up", &body).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "one budget for every secret: {body}");
    }
    for _ in 0..20 {
        let mut stranger = Authenticator::new();
        assert_eq!(problem_of(passkey_login(&coffer, &mut stranger).await).await, (FORBIDDEN, "WRONG_PROOF".into()));
    }
    assert_eq!(passkey_login(&coffer, &mut key).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_fresh_proof_renews_the_session_and_its_id() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let before = login.get("/session").await;
    for body in
        [json!({}), json!({"password": PASSWORD, "totp": "123456"}), json!({"recovery_code": "abcd-efgh-jkmn-pqrs"})]
    {
        let refused = post(&login, "/session/step-up", &body).await;
        assert_eq!(problem_of(refused).await, (StatusCode::BAD_REQUEST, "INVALID_REQUEST".into()), "{body}");
    }
    let wrong = post(&login, "/session/step-up", &json!({"password": "wrong"})).await;
    assert_eq!(problem_of(wrong).await, (FORBIDDEN, "WRONG_PROOF".into()));
    let answer = posted(&login, "/session/step-up", &json!({"password": PASSWORD})).await;
    assert!(!is_alive(&login).await, "the old token is nobody's at once");
    let login = renewed(&login, &answer);
    let after = login.get("/session").await;
    assert_ne!(before["id"], after["id"]);
    assert_eq!(before["created_at"], after["created_at"]);
    assert_eq!(login.get("/sessions").await["total"], 1, "it is the same session");
}

#[tokio::test]
async fn a_cookie_is_renewed_in_its_own_transport() {
    let coffer = Coffer::start().await;
    let (origin, path) = (coffer.url(""), "/api/v1/session");
    let credentials = json!({"email": crate::kit::coffer::EMAIL, "password": PASSWORD, "transport": "cookie"});
    let cookie_of = |response: &reqwest::Response| {
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    };
    let request = coffer.client.post(coffer.url(path)).header("origin", &origin).json(&credentials);
    let old = cookie_of(&request.send().await.unwrap());
    let step_up = |cookie: &str| {
        let request = coffer.client.post(coffer.url("/api/v1/session/step-up")).header("cookie", cookie);
        request.json(&json!({"password": PASSWORD}))
    };
    let foreign = step_up(&old).header("origin", "http://evil.example").send().await.unwrap();
    assert_eq!(problem_of(foreign).await, (FORBIDDEN, "PERMISSION_DENIED".into()));
    let answer = step_up(&old).header("origin", &origin).send().await.unwrap();
    let new = cookie_of(&answer);
    let body = json_of(answer, StatusCode::OK).await;
    assert!(body.get("access_token").is_none() && old != new);
    for (cookie, status) in [(&old, StatusCode::UNAUTHORIZED), (&new, StatusCode::OK)] {
        let found = coffer.client.get(coffer.url(path)).header("cookie", cookie).send().await.unwrap();
        assert_eq!(found.status(), status);
    }
}

#[tokio::test]
async fn where_a_second_factor_is_required_a_fresh_login_may_only_enrol_one() {
    let mut coffer = Coffer::start_with(&[("MFA_REQUIRED", "true")]).await;
    let (login, state) = half_login(&coffer).await;
    assert_eq!(state, "enrol_required");
    let folder = json!({"parent": "root", "name": "a"});
    for refused in [
        login.request(Method::GET, "/nodes/root"),
        login.request(Method::POST, "/folders").json(&folder),
        login.request(Method::GET, "/sessions"),
        login.request(Method::DELETE, "/sessions"),
        login.request(Method::POST, "/session/step-up").json(&json!({"password": PASSWORD})),
        login.request(Method::POST, "/mfa/recovery-codes"),
    ] {
        let refused = refused.send().await.unwrap();
        assert_eq!(problem_of(refused).await, (FORBIDDEN, "MFA_ENROLMENT_REQUIRED".into()));
    }
    assert_eq!(login.get("/mfa").await["required"], true);
    let (_, login) = enrol_app(&login).await;
    assert_eq!(login.get("/session").await["state"], "active");
    assert_eq!(login.get("/nodes/root").await["kind"], "folder");
    let last = login.request(Method::DELETE, "/mfa/totp").send().await.unwrap();
    assert_eq!(problem_of(last).await, (StatusCode::CONFLICT, "CONFLICT".into()), "the last factor stays");
    let (_, login) = enrol_passkey(&coffer, &login).await;
    let removed = login.request(Method::DELETE, "/mfa/totp").send().await.unwrap();
    assert_eq!(removed.status(), StatusCode::OK);

    // A session that was whole before the setting came owes what the setting asks for.
    let mut coffer_later = Coffer::start().await;
    let before = coffer_later.log_in().await;
    coffer_later.set("MFA_REQUIRED", "true");
    coffer_later.restart().await;
    let refused = before.request(Method::GET, "/nodes/root").send().await.unwrap();
    assert_eq!(problem_of(refused).await.1, "MFA_ENROLMENT_REQUIRED");
    coffer.kill();
}
