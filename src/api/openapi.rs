//! The description of the API, generated from the handlers.

use std::collections::{BTreeSet, HashMap};

use poem_openapi::registry::MetaApi;
use poem_openapi::{OpenApi, OpenApiService, Tags};
use serde_json::{Map, Value};

use super::bulk::Bulk;
use super::events::Changes;
use super::files::Files;
use super::folders::Folders;
use super::grants::Grants;
use super::health::HealthChecks;
use super::mfa::SecondFactors;
use super::nodes::Nodes;
use super::overview::Overview;
use super::passkeys::Passkeys;
use super::proofs::Proofs;
use super::root::pattern_of;
use super::session::CurrentSession;
use super::sessions::Sessions;
use super::tokens::Tokens;
use super::trash::Trash;
use super::uploads::Uploads;

/// What operations are about.
#[derive(Tags)]
pub enum Tag {
    /// Logging in and out.
    Sessions,
    /// Second factors and passkeys.
    Factors,
    /// What folders and files have in common.
    Nodes,
    /// Making folders and files.
    Folders,
    /// Content and versions.
    Files,
    /// Content that goes to the bucket directly.
    Uploads,
    /// What was thrown away.
    Trash,
    /// What happens.
    Events,
    /// Whether it works.
    Health,
}

/// Everything about who the owner is; a tuple of its own, for one holds no more than sixteen.
type Identity = (CurrentSession, Proofs, Sessions, SecondFactors, Passkeys, Tokens);

type Api = (Identity, Nodes, Folders, Files, Grants, Uploads, Trash, Overview, Bulk, Changes, HealthChecks);

/// What the framework calls JSON; the description says it shorter, as clients expect.
const FRAMEWORK_JSON: &str = "application/json; charset=utf-8";

/// The handlers with their routes.
pub fn service() -> OpenApiService<Api, ()> {
    let identity = (CurrentSession, Proofs, Sessions, SecondFactors, Passkeys, Tokens);
    let api = (identity, Nodes, Folders, Files, Grants, Uploads, Trash, Overview, Bulk, Changes, HealthChecks);
    OpenApiService::new(api, "Coffer", env!("CARGO_PKG_VERSION"))
        .description(
            "A single owner's vault. Every error is an `application/problem+json` with a stable `code`. Times are RFC \
             3339 in UTC, sizes bytes, ids opaque; names are data and never part of a path.",
        )
        .server(super::PREFIX)
}

/// The description as JSON, pretty and stable: what `openapi/coffer.json` holds.
pub fn document() -> String {
    let mut document: Value =
        serde_json::from_str(&service().spec()).expect("the framework writes its description as JSON");
    let requests: BTreeSet<String> = request_schemas(&document);
    for name in requests {
        // Handlers refuse members that they don't know.
        document["components"]["schemas"][&name]["additionalProperties"] = Value::Bool(false);
    }
    shorten(&mut document);
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value can be written");
    text.push('\n');
    text
}

/// A page to try the API.
pub fn try_page() -> String {
    service().swagger_ui_html()
}

/// The methods of each route, as an `Allow` header has them, by [`pattern_of`] its path.
pub fn methods() -> HashMap<String, String> {
    let mut methods = HashMap::<String, BTreeSet<String>>::new();
    for path in Api::meta().into_iter().flat_map(|MetaApi { paths }| paths) {
        let known = methods.entry(pattern_of(&format!("{}{}", super::PREFIX, path.path))).or_default();
        known.extend(path.operations.iter().map(|operation| operation.method.to_string()));
        if known.contains("GET") {
            known.insert("HEAD".to_owned());
        }
    }
    methods.into_iter().map(|(path, known)| (path, known.into_iter().collect::<Vec<_>>().join(", "))).collect()
}

fn request_schemas(document: &Value) -> BTreeSet<String> {
    let operations = document["paths"].as_object().into_iter().flat_map(Map::values);
    let operations = operations.filter_map(Value::as_object).flat_map(Map::values);
    let mut found = BTreeSet::new();
    for operation in operations {
        find_schemas(document, &operation["requestBody"], &mut found);
    }
    found
}

/// The objects that `value` refers to, and those that these refer to.
fn find_schemas(document: &Value, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let reference = members.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) {
                let schema = &document["components"]["schemas"][name];
                if schema["type"] == "object" && found.insert(name.to_owned()) {
                    find_schemas(document, schema, found);
                }
            }
            members.values().for_each(|member| find_schemas(document, member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| find_schemas(document, item, found)),
        _ => {}
    }
}

/// Says what the framework says in the way that client generators understand.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(members) => {
            // A reference with a description of its own: the description stands beside it, too.
            if let Some(Value::Array(all)) = members.get_mut("allOf") {
                all.retain(|one| one.as_object().is_none_or(|one| one.keys().ne(["description"])));
            }
            if let Some(json) = members.remove(FRAMEWORK_JSON) {
                members.insert("application/json".to_owned(), json);
            }
            members.values_mut().for_each(shorten);
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::policy::{self, Class};

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                operations.push((format!("{} {path}", method.to_uppercase()), operation));
            }
        }
        operations
    }

    fn described() -> Value {
        serde_json::from_str(&document()).unwrap()
    }

    #[test]
    fn the_committed_description_is_the_generated_one() {
        let committed = include_str!("../../openapi/coffer.json");
        assert!(committed == document(), "openapi/coffer.json is old: `cargo xtask openapi` writes it");
    }

    #[test]
    fn every_operation_has_an_id_a_tag_a_summary_and_problems() {
        for (name, operation) in operations(&described()) {
            let id = operation["operationId"].as_str().unwrap_or_default();
            assert!(
                id.split('_').count() >= 2 && id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name} {id}"
            );
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name}");
            let responses = operation["responses"].as_object().unwrap();
            let errors: Vec<_> = responses.iter().filter(|(status, _)| *status >= &"400".to_owned()).collect();
            assert!(!errors.is_empty(), "{name}");
            for (status, response) in errors {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{name} {status}");
            }
            let bodies = responses.iter().filter(|(status, _)| status.starts_with('2'));
            let schemas: BTreeSet<_> = bodies.map(|(_, response)| response["content"].to_string()).collect();
            assert_eq!(schemas.len(), 1, "{name} has exactly one success schema");
        }
    }

    #[test]
    fn operations_that_need_a_session_promise_401() {
        let document = described();
        for row in policy::table() {
            let operation = &document["paths"][row.path][row.method.to_lowercase()];
            let promises_401 = operation["responses"].get("401").is_some();
            // The rest are open; of these, what checks a secret says that it is wrong.
            assert_eq!(promises_401, row.needs_session() || row.class == Class::Auth, "{} {}", row.method, row.path);
        }
    }

    #[test]
    fn texts_in_requests_have_limits() {
        for (name, operation) in operations(&described()) {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let schema = &parameter["schema"];
                let free = schema["type"] == "string" && schema.get("enum").is_none();
                let header = parameter["in"] == "header";
                assert!(!free || header || schema.get("maxLength").is_some(), "{name}: {}", parameter["name"]);
            }
        }
    }

    #[test]
    fn routes_know_their_methods() {
        let methods = methods();
        assert_eq!(methods["/api/v1/nodes/*"], "DELETE, GET, HEAD, PATCH");
        assert_eq!(methods["/api/v1/files/*/content"], "GET, HEAD, PUT");
        assert_eq!(methods["/api/v1/session"], "DELETE, GET, HEAD, POST");
    }
}
