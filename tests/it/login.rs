//! Logging in, staying in and being thrown out, over HTTP, as programs and as browsers do it.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::coffer::{Coffer, EMAIL, PASSWORD, json_of, problem_of};

async fn try_login(coffer: &Coffer, email: &str, password: &str) -> Response {
    let body = json!({"email": email, "password": password, "transport": "bearer"});
    coffer.client.post(coffer.url("/api/v1/session")).json(&body).send().await.unwrap()
}

fn who_am_i(coffer: &Coffer, token: &str) -> reqwest::RequestBuilder {
    coffer.client.get(coffer.url("/api/v1/session")).bearer_auth(token)
}

#[tokio::test]
async fn a_session_lives_until_it_is_ended_and_ends_at_once() {
    let mut coffer = Coffer::start().await;
    let (one, two, three) = (coffer.log_in().await, coffer.log_in().await, coffer.log_in().await);
    let me = one.get("/session").await;
    assert_eq!((&me["state"], &me["transport"], &me["current"]), (&json!("active"), &json!("bearer"), &json!(true)));
    let sessions = one.get("/sessions").await;
    assert_eq!(sessions["total"], 3);
    let two_id = two.get("/session").await["id"].as_str().unwrap().to_owned();

    let gone = one.request(Method::DELETE, &format!("/sessions/{two_id}")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let refused = who_am_i(&coffer, &two.token).send().await.unwrap();
    assert_eq!(problem_of(refused).await, (StatusCode::UNAUTHORIZED, "INVALID_TOKEN".into()));
    let again = one.request(Method::DELETE, &format!("/sessions/{two_id}")).send().await.unwrap();
    assert_eq!(problem_of(again).await, (StatusCode::NOT_FOUND, "SESSION_NOT_FOUND".into()));

    let others = one.request(Method::DELETE, "/sessions?keep_current=true").send().await.unwrap();
    assert_eq!(others.status(), StatusCode::NO_CONTENT);
    assert_eq!(who_am_i(&coffer, &three.token).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    coffer.restart().await;
    assert_eq!(
        who_am_i(&coffer, &one.token).send().await.unwrap().status(),
        StatusCode::OK,
        "a restart logs nobody out"
    );

    let out = coffer.client.delete(coffer.url("/api/v1/session")).bearer_auth(&one.token).send().await.unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    assert_eq!(who_am_i(&coffer, &one.token).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_transfer_ends_with_its_session() {
    let coffer = Coffer::start().await;
    let (login, other) = (coffer.log_in().await, coffer.log_in().await);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let stream = futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let request = login.request(Method::POST, "/folders/root/files?name=cut").body(reqwest::Body::wrap_stream(stream));
    let upload = tokio::spawn(request.send());
    for _ in 0..3 {
        sender.send(Ok(vec![0; 50_000])).await.unwrap();
    }
    let ended = other.request(Method::DELETE, "/sessions?keep_current=true").send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    assert_eq!(problem_of(upload.await.unwrap().unwrap()).await, (StatusCode::UNAUTHORIZED, "INVALID_TOKEN".into()));
    assert_eq!(other.get("/nodes/root/children").await["total"], 0);
}

#[tokio::test]
async fn a_cookie_is_httponly_strict_and_works_from_this_origin_alone() {
    let coffer = Coffer::start().await;
    let origin = coffer.url("");
    let credentials = json!({"email": EMAIL, "password": PASSWORD, "transport": "cookie"});
    let login = |pairs: &[(&str, &str)]| {
        let request = coffer.client.post(coffer.url("/api/v1/session")).json(&credentials);
        pairs.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
    };
    for foreign in [&[("origin", "http://evil.example")][..], &[("sec-fetch-site", "cross-site")], &[]] {
        assert_eq!(problem_of(login(foreign).await.unwrap()).await.1, "PERMISSION_DENIED", "{foreign:?}");
    }
    let response = login(&[("origin", &origin)]).await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["coffer=", "; Path=/", "; HttpOnly", "; SameSite=Strict", "; Max-Age="] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    let body = json_of(response, StatusCode::CREATED).await;
    assert!(body.get("access_token").is_none(), "the token is in the cookie alone");
    let pair = cookie.split(';').next().unwrap();
    let token = pair.strip_prefix("coffer=").unwrap();

    let request = |method: Method, path: &str| coffer.client.request(method, coffer.url(path)).header("cookie", pair);
    assert_eq!(request(Method::GET, "/api/v1/session").send().await.unwrap().status(), StatusCode::OK);
    let folder = || request(Method::POST, "/api/v1/folders").json(&json!({"parent": "root", "name": "a"}));
    for foreign in [
        folder(),
        folder().header("origin", "http://evil.example"),
        folder().header("origin", "null"),
        folder().header("origin", &origin).header("sec-fetch-site", "same-site"),
        request(Method::DELETE, "/api/v1/session").header("sec-fetch-site", "cross-site"),
        request(Method::DELETE, "/api/v1/sessions").header("origin", "http://evil.example"),
    ] {
        assert_eq!(problem_of(foreign.send().await.unwrap()).await.1, "PERMISSION_DENIED");
    }
    assert_eq!(folder().header("origin", &origin).send().await.unwrap().status(), StatusCode::CREATED);
    // A cookie's token that travels as a bearer token has leaked.
    assert_eq!(who_am_i(&coffer, token).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let out = request(Method::DELETE, "/api/v1/session").header("origin", &origin).send().await.unwrap();
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(request(Method::GET, "/api/v1/session").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn forged_tokens_are_nobody() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let parts: Vec<&str> = login.token.split('.').collect();
    let decode = |part: &str| -> Value {
        serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
    };
    let encode = |value: &Value| data_encoding::BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let (header, claims) = (decode(parts[0]), decode(parts[1]));
    let secret = coffer.setting("JWT_SECRET").as_bytes().to_vec();
    let changed = |value: &Value, member: &str, to: Value| {
        let mut value = value.clone();
        value[member] = to;
        value
    };
    let signed = |header: Header, claims: &Value| {
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&secret)).unwrap()
    };
    let with_kid = |kid: Option<&str>| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = kid.map(str::to_owned);
        header
    };
    let own_kid = header["kid"].as_str();
    let without = |member: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(member);
        claims
    };
    let mut forged = vec![
        String::new(),
        "x".into(),
        "..".into(),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.", encode(&changed(&header, "alg", json!("none"))), parts[1]),
        format!("{}.{}.{}", encode(&changed(&header, "alg", json!("none"))), parts[1], parts[2]),
        format!("{}.{}.{}", encode(&changed(&header, "alg", json!("RS256"))), parts[1], parts[2]),
        format!("{}.{}.{}", encode(&changed(&header, "kid", json!("../../dev/null"))), parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], encode(&changed(&claims, "exp", json!(99_999_999_999_u64))), parts[2]),
        signed(with_kid(own_kid), &changed(&claims, "exp", json!("99999999999"))),
        signed(with_kid(own_kid), &changed(&claims, "exp", json!(1))),
        signed(with_kid(own_kid), &changed(&claims, "nbf", json!(99_999_999_999_u64))),
        signed(with_kid(own_kid), &changed(&claims, "nbf", json!("now"))),
        signed(with_kid(own_kid), &without("exp")),
        signed(with_kid(Some("nobody")), &claims),
        jsonwebtoken::encode(&with_kid(own_kid), &claims, &EncodingKey::from_secret(b"guess")).unwrap(),
    ];
    let mut flipped = login.token.clone().into_bytes();
    let middle = flipped.len() - 10;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    forged.push(String::from_utf8(flipped).unwrap());
    for token in forged {
        let response = who_am_i(&coffer, &token).send().await.unwrap();
        assert_eq!(problem_of(response).await.0, StatusCode::UNAUTHORIZED, "{token}");
    }
    assert_eq!(who_am_i(&coffer, &login.token).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_address_and_a_wrong_password_look_the_same_and_are_limited() {
    let coffer = Coffer::start_with(&[("LOGIN_LIMIT", "5")]).await;
    let mut answers = Vec::new();
    for (email, password) in [(EMAIL, "wrong"), ("nobody@coffer.test", PASSWORD), ("nobody@coffer.test", "wrong")] {
        let response = try_login(&coffer, email, password).await;
        let status = response.status();
        let mut body: Value = response.json().await.unwrap();
        body["request_id"] = Value::Null;
        answers.push((status, body));
    }
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");

    // The limit counts the client, whatever a header claims about it.
    let mut refused = None;
    for n in 0..6 {
        let body = json!({"email": EMAIL, "password": "wrong", "transport": "bearer"});
        let request = coffer.client.post(coffer.url("/api/v1/session")).json(&body);
        let request = request
            .header("x-forwarded-for", format!("192.0.2.{n}"))
            .header("forwarded", format!("for=192.0.2.{n}"))
            .header("x-real-ip", format!("192.0.2.{n}"));
        let response = request.send().await.unwrap();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(response);
        }
    }
    let refused = refused.expect("the limit holds");
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(problem_of(refused).await.1, "RATE_LIMITED");
}

#[tokio::test]
async fn configured_proxies_alone_say_who_the_client_is() {
    let coffer = Coffer::start_with(&[("LOGIN_LIMIT", "5"), ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let attempt = |client: &str| {
        let body = json!({"email": "nobody@coffer.test", "password": "wrong", "transport": "bearer"});
        coffer
            .client
            .post(coffer.url("/api/v1/session"))
            .json(&body)
            .header("x-forwarded-for", client.to_owned())
            .send()
    };
    let login = coffer.log_in().await;
    let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "bearer"});
    let request = coffer.client.post(coffer.url("/api/v1/session")).json(&body);
    let made: Value =
        request.header("x-forwarded-for", "203.0.113.7, 192.0.2.1").send().await.unwrap().json().await.unwrap();
    assert_eq!(made["session"]["address"], "192.0.2.1", "the nearest hop that is no proxy of ours");
    assert_eq!(attempt("192.0.2.2").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    login.get("/session").await;
}

#[tokio::test]
async fn redis_away_is_said_at_once_and_redis_emptied_costs_a_login() {
    let mut coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let node = login.upload("root", "kept", "content").await;
    let id = node["id"].as_str().unwrap();

    coffer.redis.kill();
    let begun = std::time::Instant::now();
    let away = login.request(Method::GET, "/nodes/root").send().await.unwrap();
    assert_eq!(problem_of(away).await, (StatusCode::SERVICE_UNAVAILABLE, "REDIS_UNAVAILABLE".into()));
    assert_eq!(problem_of(try_login(&coffer, EMAIL, PASSWORD).await).await.1, "REDIS_UNAVAILABLE");
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    coffer.wait_until("unready", |status, body| status == 503 && body["code"] == "REDIS_UNAVAILABLE").await;
    let live = coffer.client.get(coffer.url("/health/live")).send().await.unwrap();
    assert_eq!(live.status(), StatusCode::OK);
    coffer.redis.restart().await;
    coffer.wait_until_ready().await;

    coffer.redis.flush_all().await;
    coffer.restart().await;
    assert_eq!(who_am_i(&coffer, &login.token).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let login = coffer.log_in().await;
    assert_eq!(login.download(id).await, b"content");
}
