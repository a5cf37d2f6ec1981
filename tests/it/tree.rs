//! Folders, files, versions and the trash, through the API.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kit::coffer::{Coffer, Login, json_of, problem_of};

fn id(node: &Value) -> &str {
    node["id"].as_str().unwrap()
}

async fn folder(login: &Login, parent: &str, name: &str) -> Value {
    login.create("/folders", &json!({"parent": parent, "name": name})).await
}

async fn names(login: &Login, path: &str) -> Vec<String> {
    let page = login.get(path).await;
    page["items"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_tree_is_made_changed_thrown_away_and_brought_back() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let (a, b) = (folder(&login, "root", "a").await, folder(&login, "root", "b").await);
    let file = login.upload(id(&a), "x.txt", "hello").await;
    assert_eq!((&file["parent"], &file["kind"]), (&a["id"], &json!("file")));

    let taken = login.request(Method::POST, "/folders").json(&json!({"parent": "root", "name": "a"})).send().await;
    assert_eq!(problem_of(taken.unwrap()).await, (StatusCode::CONFLICT, "DUPLICATE_RESOURCE".into()));

    let change = json!({"name": "y.txt", "parent": id(&b), "starred": true});
    let changed = login.request(Method::PATCH, &format!("/nodes/{}", id(&file))).json(&change).send().await.unwrap();
    let tag = changed.headers()["etag"].to_str().unwrap().to_owned();
    let changed = json_of(changed, StatusCode::OK).await;
    assert_eq!((&changed["name"], &changed["starred"]), (&json!("y.txt"), &json!(true)));
    assert_eq!(tag, format!("\"{}\"", changed["revision"].as_str().unwrap()));
    assert_eq!(names(&login, &format!("/nodes/{}/children", id(&b))).await, ["y.txt"]);

    let into_itself = json!({"parent": id(&b)});
    let refused = login.request(Method::PATCH, &format!("/nodes/{}", id(&b))).json(&into_itself).send().await.unwrap();
    assert_eq!(problem_of(refused).await, (StatusCode::CONFLICT, "CONFLICT".into()));

    let trashed = login.request(Method::DELETE, &format!("/nodes/{}", id(&b))).send().await.unwrap();
    assert_eq!(trashed.status(), StatusCode::NO_CONTENT);
    assert_eq!(names(&login, "/nodes/root/children").await, ["a"]);
    assert_eq!(names(&login, "/trash").await, ["b"]);
    let restored = login.request(Method::POST, &format!("/nodes/{}/restore", id(&b))).send().await.unwrap();
    assert_eq!(restored.status(), StatusCode::OK);
    assert_eq!(login.download(id(&file)).await, b"hello");

    login.request(Method::DELETE, &format!("/nodes/{}", id(&b))).send().await.unwrap();
    let gone = login.request(Method::DELETE, &format!("/trash/{}", id(&b))).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    for path in [format!("/nodes/{}", id(&b)), format!("/files/{}/content", id(&file))] {
        let response = login.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(problem_of(response).await, (StatusCode::NOT_FOUND, "FILE_NOT_FOUND".into()));
    }
    login.request(Method::DELETE, &format!("/nodes/{}", id(&a))).send().await.unwrap();
    assert_eq!(login.request(Method::DELETE, "/trash").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(login.get("/trash").await["total"], 0);
}

#[tokio::test]
async fn a_list_comes_in_pages_and_orders() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    for n in [10, 9, 2, 1, 33] {
        login.upload("root", &format!("f{n}"), vec![0_u8; n]).await;
    }
    folder(&login, "root", "z").await;
    assert_eq!(names(&login, "/nodes/root/children").await, ["z", "f1", "f2", "f9", "f10", "f33"]);
    assert_eq!(names(&login, "/nodes/root/children?sort=-size").await, ["z", "f33", "f10", "f9", "f2", "f1"]);
    let (mut seen, mut path) = (Vec::new(), "/nodes/root/children?limit=2".to_owned());
    loop {
        let page = login.get(&path).await;
        assert_eq!(page["total"], 6);
        seen.extend(page["items"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/nodes/root/children?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["z", "f1", "f2", "f9", "f10", "f33"]);
    assert_eq!(names(&login, "/nodes/root/children?offset=2&limit=2&sort=-size").await, ["f10", "f9"]);
    assert_eq!(names(&login, "/nodes/root/children?offset=6").await, [""; 0]);
    let other_order = login.get("/nodes/root/children?limit=2").await["next"].as_str().unwrap().to_owned();
    let path = format!("/nodes/root/children?sort=-name&cursor={other_order}");
    let refused = login.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(problem_of(refused).await, (StatusCode::BAD_REQUEST, "INVALID_REQUEST".into()));
}

#[tokio::test]
async fn names_are_data_and_twins_collide() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let odd = [
        "..\\..\\windows",
        "%2e%2e",
        "CON",
        "a;b=\"c\"",
        "日本語 👩\u{200D}👧.txt",
        "trailing. ",
        "'; DROP",
        "<b>.html",
    ];
    for name in odd {
        let node = login.upload("root", name, name.to_owned()).await;
        assert_eq!(node["name"], name);
        let response = login.request(Method::GET, &format!("/files/{}/content", id(&node))).send().await.unwrap();
        let disposition = response.headers()["content-disposition"].to_str().unwrap().to_owned();
        assert!(disposition.starts_with("attachment; filename=\""), "{disposition}");
        let exact = disposition.split("filename*=UTF-8''").nth(1).unwrap();
        let decoded = url::form_urlencoded::parse(format!("n={}", exact.replace('+', "%2B")).as_bytes())
            .next()
            .map(|(_, value)| value.into_owned());
        assert_eq!(decoded.as_deref(), Some(name));
        assert_eq!(response.bytes().await.unwrap(), name);
    }
    login.upload("root", "e\u{301}.txt", "decomposed").await;
    let twin = login.request(Method::POST, "/folders/root/files").query(&[("name", "é.txt")]).body("composed");
    assert_eq!(problem_of(twin.send().await.unwrap()).await.1, "DUPLICATE_RESOURCE");
    for refused in [".", "..", "a/b", "a\0b", "a\nb", "gpj\u{202E}exe", " ", "\u{2028}"] {
        for request in [
            login.request(Method::POST, "/folders").json(&json!({"parent": "root", "name": refused})),
            login.request(Method::POST, "/folders/root/files").query(&[("name", refused)]).body("x"),
        ] {
            assert_eq!(problem_of(request.send().await.unwrap()).await.1, "INVALID_NAME", "{refused:?}");
        }
    }
    assert_eq!(login.get("/nodes/root/children").await["total"], odd.len() + 1);
}

#[tokio::test]
async fn a_replacement_keeps_the_old_version_and_respects_if_match() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let file = login.upload("root", "v", "one").await;
    let path = format!("/files/{}/content", id(&file));
    let first = file["file"]["version"].as_str().unwrap();
    let put = |if_match: Option<&str>, content: &'static str| {
        let request = login.request(Method::PUT, &path).body(content);
        if_match.iter().fold(request, |request, tag| request.header("if-match", *tag)).send()
    };
    let node = json_of(put(Some(&format!("\"{first}\"")), "two").await.unwrap(), StatusCode::OK).await;
    let second = node["file"]["version"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let stale = put(Some(&format!("\"{first}\"")), "three").await.unwrap();
    assert_eq!(problem_of(stale).await, (StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED".into()));
    for unusable in ["W/\"x\"", "\"x\"", "x"] {
        assert_eq!(problem_of(put(Some(unusable), "x").await.unwrap()).await.0, StatusCode::PRECONDITION_FAILED);
    }
    assert_eq!(login.download(id(&file)).await, b"two");
    let versions = login.get(&format!("/files/{}/versions", id(&file))).await;
    let ids: Vec<_> = versions["items"].as_array().unwrap().iter().map(|version| version["id"].clone()).collect();
    assert_eq!(ids, [json!(second), json!(first)]);
    let old = login.request(Method::GET, &format!("{path}?version={first}")).send().await.unwrap();
    assert_eq!(old.headers()["etag"], format!("\"{first}\"").as_str());
    assert_eq!(old.bytes().await.unwrap(), "one");
    let delete =
        |version: &str| login.request(Method::DELETE, &format!("/files/{}/versions/{version}", id(&file))).send();
    assert_eq!(problem_of(delete(&second).await.unwrap()).await.1, "CONFLICT");
    assert_eq!(delete(first).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(delete(first).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_happens_to_a_taken_name_is_the_clients_choice() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let first = login.upload("root", "n.txt", "one").await;
    let upload = |choice: &'static str, content: &'static str| {
        let query = [("name", "n.txt"), ("on_conflict", choice)];
        login.request(Method::POST, "/folders/root/files").query(&query).body(content).send()
    };
    assert_eq!(problem_of(upload("fail", "two").await.unwrap()).await.1, "DUPLICATE_RESOURCE");
    let replaced = json_of(upload("replace", "three").await.unwrap(), StatusCode::CREATED).await;
    assert_eq!(replaced["id"], first["id"]);
    let kept = json_of(upload("keep_both", "four").await.unwrap(), StatusCode::CREATED).await;
    assert_ne!(kept["id"], first["id"]);
    assert_eq!(login.download(id(&first)).await, b"three");
    assert_eq!(login.download(id(&kept)).await, b"four");
}

#[tokio::test]
async fn a_repeated_creation_makes_one_thing() {
    let mut coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let make = |name: &str, key: &str| {
        let request = login.request(Method::POST, "/folders").json(&json!({"parent": "root", "name": name}));
        request.header("idempotency-key", key).send()
    };
    let first = json_of(make("once", "key-1").await.unwrap(), StatusCode::CREATED).await;
    let again = json_of(make("once", "key-1").await.unwrap(), StatusCode::CREATED).await;
    assert_eq!(first["id"], again["id"]);
    assert_eq!(problem_of(make("other", "key-1").await.unwrap()).await.1, "CONFLICT");
    assert_eq!(problem_of(make("once", "key-2").await.unwrap()).await.1, "DUPLICATE_RESOURCE");
    assert_eq!(problem_of(make("once", "no blanks").await.unwrap()).await.1, "INVALID_REQUEST");
    let upload = || {
        let request = login.request(Method::POST, "/folders/root/files?name=f").body("content");
        request.header("idempotency-key", "key-1").send()
    };
    let file = json_of(upload().await.unwrap(), StatusCode::CREATED).await;
    assert_eq!(json_of(upload().await.unwrap(), StatusCode::CREATED).await["id"], file["id"]);
    coffer.restart().await;
    assert_eq!(json_of(upload().await.unwrap(), StatusCode::CREATED).await["id"], file["id"]);
    assert_eq!(login.get("/nodes/root/children").await["total"], 2);
}

#[tokio::test]
async fn downloads_answer_conditions_and_ranges_as_the_rfc_says() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let file = login.upload("root", "page.html", "<script>alert(1)</script>").await;
    let empty = login.upload("root", "empty", "").await;
    let tag = format!("\"{}\"", file["file"]["version"].as_str().unwrap());
    let path = format!("/files/{}/content", id(&file));
    let ask = |method: Method, path: &str, headers: &[(&str, &str)]| {
        let request = login.request(method, path);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
    };
    let whole = ask(Method::GET, &path, &[]).await.unwrap();
    let header = |name: &str| whole.headers()[name].to_str().unwrap();
    assert_eq!((header("etag"), header("accept-ranges"), header("content-length")), (&*tag, "bytes", "25"));
    assert!(header("content-security-policy").starts_with("sandbox"));
    assert_eq!(header("x-content-type-options"), "nosniff");

    for (headers, status, body) in [
        (&[("range", "bytes=0-7")][..], 206, "<script>"),
        (&[("range", "bytes=-9")], 206, "</script>"),
        (&[("range", "bytes=0-99")], 206, "<script>alert(1)</script>"),
        (&[("range", "bytes=25-")], 416, ""),
        (&[("range", "bytes=0-1,3-4")], 416, ""),
        (&[("range", "bytes=-0")], 416, ""),
        (&[("range", "lines=1-2")], 200, "<script>alert(1)</script>"),
        (&[("range", "bytes=0-7"), ("if-range", &tag)], 206, "<script>"),
        (&[("range", "bytes=0-7"), ("if-range", "\"other\"")], 200, "<script>alert(1)</script>"),
        (&[("if-none-match", &tag)], 304, ""),
        (&[("if-none-match", "*")], 304, ""),
        (&[("if-none-match", "\"other\"")], 200, "<script>alert(1)</script>"),
        (&[("if-match", &tag)], 200, "<script>alert(1)</script>"),
        (&[("if-match", "\"other\"")], 412, ""),
        (&[("if-match", "\"other\""), ("if-none-match", &tag)], 412, ""),
    ] {
        let response = ask(Method::GET, &path, headers).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{headers:?}");
        match status {
            304 => assert_eq!(response.headers()["etag"], tag.as_str()),
            416 => {
                assert_eq!(response.headers()["content-range"], "bytes */25");
                assert_eq!(problem_of(response).await.1, "RANGE_NOT_SATISFIABLE");
            }
            412 => assert_eq!(problem_of(response).await.1, "PRECONDITION_FAILED"),
            _ => assert_eq!(response.text().await.unwrap(), body, "{headers:?}"),
        }
        // The same question without a body, of which ranges are no part.
        let head = ask(Method::HEAD, &path, headers).await.unwrap();
        let expected = if matches!(status, 206 | 416) { 200 } else { status };
        assert_eq!(head.status().as_u16(), expected, "HEAD {headers:?}");
        if expected == 200 {
            assert_eq!(head.headers()["content-length"], "25");
        }
        assert!(head.bytes().await.unwrap().is_empty());
    }
    assert_eq!(
        ask(Method::GET, &format!("/files/{}/content", id(&empty)), &[]).await.unwrap().headers()["content-length"],
        "0"
    );
    let (status, _) = login.range(id(&empty), "bytes=0-0").await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn content_that_contradicts_its_type_is_refused_and_leaves_nothing() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let png = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1];
    let upload = |query: &[(&str, &str)], media_type: &str| {
        let request = login.request(Method::POST, "/folders/root/files").query(query).body(png.to_vec());
        request.header("content-type", media_type.to_owned()).send()
    };
    let refused = upload(&[("name", "a.jpg")], "image/jpeg").await.unwrap();
    assert_eq!(problem_of(refused).await, (StatusCode::UNSUPPORTED_MEDIA_TYPE, "MIME_TYPE_MISMATCH".into()));
    let refused = upload(&[("name", "a.jpg"), ("type", "image/jpeg")], "application/octet-stream").await.unwrap();
    assert_eq!(problem_of(refused).await.1, "MIME_TYPE_MISMATCH");
    let node = json_of(upload(&[("name", "a.png")], "image/png").await.unwrap(), StatusCode::CREATED).await;
    assert_eq!(node["file"]["media_type"], "image/png");
    let response = login.request(Method::GET, &format!("/files/{}/content", id(&node))).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(login.get("/nodes/root/children").await["total"], 1);
}
