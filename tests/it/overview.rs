//! The vault as a whole, over HTTP: finding, looking back, copying, changing many nodes at once.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kit::coffer::{Coffer, Login, json_of, problem_of};

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect()
}

fn id(node: &Value) -> String {
    node["id"].as_str().unwrap().to_owned()
}

async fn folder(login: &Login, parent: &str, name: &str) -> String {
    id(&login.create("/folders", &json!({"parent": parent, "name": name})).await)
}

async fn post(login: &Login, path: &str, body: &Value) -> reqwest::Response {
    login.request(Method::POST, path).json(body).send().await.unwrap()
}

async fn bulk(login: &Login, body: Value) -> Value {
    json_of(post(login, "/bulk", &body).await, StatusCode::OK).await
}

#[tokio::test]
async fn names_are_found_wherever_they_are_and_survive_a_restart() {
    let mut coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let deep = folder(&login, "root", "Reisen").await;
    let deep = folder(&login, &deep, "2024").await;
    login.upload(&deep, "Résumé Zürich.txt", "one").await;
    let other = login.upload("root", "zurich", "two").await;
    assert_eq!(names(&login.get("/search?q=ZURICH").await), ["zurich", "Résumé Zürich.txt"]);
    assert_eq!(names(&login.get("/search?q=resume%20z").await), ["Résumé Zürich.txt"]);
    let first = login.get("/search?q=u&limit=1").await;
    assert_eq!((first["total"].as_u64(), names(&first).len()), (Some(2), 1));
    let second = login.get(&format!("/search?q=u&limit=1&cursor={}", first["next"].as_str().unwrap())).await;
    assert!(second.get("next").is_none() && names(&second) != names(&first));
    let rest = login.request(Method::PATCH, &format!("/nodes/{}", id(&other))).json(&json!({"name": "anders"}));
    assert_eq!(rest.send().await.unwrap().status(), StatusCode::OK);
    coffer.restart().await;
    let login = coffer.log_in().await;
    assert_eq!(names(&login.get("/search?q=zurich").await), ["Résumé Zürich.txt"]);
    assert_eq!(names(&login.get("/recent").await), ["anders", "Résumé Zürich.txt"]);
    for bad in ["/search", "/search?q=", "/search?q=a&limit=0", "/search?q=a&limit=1001", "/recent?cursor=AA"] {
        let (status, code) = problem_of(login.request(Method::GET, bad).send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (StatusCode::BAD_REQUEST, "INVALID_REQUEST"), "{bad}");
    }
    let long = format!("/search?q={}", "a".repeat(256));
    assert_eq!(login.request(Method::GET, &long).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(login.get(&long[..long.len() - 1]).await["total"], 0);
}

#[tokio::test]
async fn a_copied_folder_has_a_life_of_its_own() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let source = folder(&login, "root", "source").await;
    let inner = folder(&login, &source, "inner").await;
    let file = login.upload(&inner, "f.txt", "shared content").await;
    let path = format!("/nodes/{source}/copy");
    let body = json!({"parent": "root", "on_conflict": "keep_both"});
    let copy = json_of(post(&login, &path, &body).await, StatusCode::CREATED).await;
    assert_eq!(copy["name"], "source (2)");
    let found = login.get("/search?q=f.txt").await;
    let copied = found["items"].as_array().unwrap().iter().find(|node| node["id"] != file["id"]).unwrap();
    assert_eq!(login.download(&id(copied)).await, b"shared content");
    assert_eq!(copied["file"]["version"], file["file"]["version"]);
    let above = login.get(&format!("/nodes/{}/path", id(copied))).await;
    assert_eq!(names(&above), ["", "source (2)", "inner"]);
    assert_eq!(login.get("/storage").await, json!({"used_bytes": 14, "files": 2, "folders": 4, "trashed": 0}));

    let taken = post(&login, &path, &json!({"parent": "root"})).await;
    assert_eq!(problem_of(taken).await, (StatusCode::CONFLICT, "DUPLICATE_RESOURCE".to_owned()));
    let inside = post(&login, &path, &json!({"parent": inner})).await;
    assert_eq!(problem_of(inside).await, (StatusCode::CONFLICT, "CONFLICT".to_owned()));

    bulk(&login, json!({"action": "trash", "ids": [source]})).await;
    let gone = json_of(post(&login, "/trash/delete", &json!({"ids": [source]})).await, StatusCode::OK).await;
    assert_eq!(gone, json!({"done": 1, "refused": []}));
    assert_eq!(login.download(&id(copied)).await, b"shared content", "the copy keeps the sealed object");

    let put = login.request(Method::PUT, &format!("/files/{}/content", id(copied))).body("newer");
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    let old = file["file"]["version"].as_str().unwrap();
    let restore = format!("/files/{}/versions/{old}/restore", id(copied));
    let restored = json_of(post(&login, &restore, &json!({})).await, StatusCode::OK).await;
    assert_eq!(restored["file"]["version"], old);
    assert_eq!(login.download(&id(copied)).await, b"shared content");
    assert_eq!(login.get(&format!("/files/{}/versions", id(copied))).await["total"], 2);
}

#[tokio::test]
async fn many_nodes_change_in_one_step_and_what_cannot_is_told() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let target = folder(&login, "root", "target").await;
    let other = folder(&login, "root", "other").await;
    let a = id(&login.upload("root", "a", "1").await);
    let twin = id(&login.upload(&other, "a", "2").await);
    let moved = bulk(&login, json!({"action": "move", "ids": [a, twin, target, "root"], "parent": target})).await;
    assert_eq!(moved["done"], 1);
    let refused: Vec<_> =
        moved["refused"].as_array().unwrap().iter().map(|one| (id(one), one["code"].clone())).collect();
    let expected = [(twin.clone(), "DUPLICATE_RESOURCE"), (target.clone(), "CONFLICT"), ("root".into(), "CONFLICT")];
    assert_eq!(refused, expected.map(|(id, code)| (id, Value::from(code))));
    assert_eq!(names(&login.get(&format!("/nodes/{target}/children")).await), ["a"]);

    assert_eq!(bulk(&login, json!({"action": "star", "ids": [a, twin, a]})).await["done"], 2);
    assert_eq!(login.get("/starred").await["total"], 2);
    assert_eq!(bulk(&login, json!({"action": "unstar", "ids": [a]})).await["done"], 1);
    assert_eq!(login.get("/starred?sort=-modified&limit=1").await["items"][0]["id"], twin);
    assert_eq!(bulk(&login, json!({"action": "trash", "ids": [target, other]})).await["done"], 2);
    assert_eq!(login.get("/starred").await["total"], 0);
    let back = bulk(&login, json!({"action": "restore", "ids": [target, twin], "parent": "root"})).await;
    assert_eq!(back, json!({"done": 2, "refused": []}));
    assert_eq!(names(&login.get("/nodes/root/children").await), ["target", "a"]);

    let absent: Vec<String> = (1..=10_000).map(|n| format!("{n:032x}")).collect();
    let none = bulk(&login, json!({"action": "trash", "ids": absent})).await;
    assert_eq!((none["done"].as_u64(), none["refused"].as_array().unwrap().len()), (Some(0), 10_000));
    let over: Vec<String> = (0..=10_000).map(|n| format!("{n:032x}")).collect();
    for bad in [
        json!({"action": "trash", "ids": over}),
        json!({"action": "trash", "ids": []}),
        json!({"action": "delete", "ids": [a]}),
        json!({"action": "move", "ids": [a]}),
        json!({"action": "star", "ids": [a], "parent": "root"}),
        json!({"action": "restore", "ids": [a], "parent": null}),
    ] {
        let (status, code) = problem_of(post(&login, "/bulk", &bad).await).await;
        assert_eq!((status, code.as_str()), (StatusCode::BAD_REQUEST, "INVALID_REQUEST"));
    }
}
