//! A client of direct uploads that knows nothing but the API and `docs/format.md`.

use coffer::crypto::{BlobId, ContentHash, Dek, Geometry, PartContext, Salt, VaultId, seal_part, sha256};
use data_encoding::HEXLOWER;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::coffer::{Login, json_of, problem_of};

/// An upload as the vault described it.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) login: Login,
    pub(crate) id: String,
    pub(crate) json: Value,
    dek: Dek,
    context: PartContext,
}

/// One encryption of a part.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) part: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) salt: Salt,
}

/// A signed request, as the vault gave it out.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Sealed {
    /// What is said of it to get a URL.
    pub(crate) fn to_json(&self) -> Value {
        use md5::Digest as _;
        json!({
            "part": self.part,
            "length": self.bytes.len(),
            "sha256": HEXLOWER.encode(&sha256(&self.bytes)),
            "md5": HEXLOWER.encode(&md5::Md5::digest(&self.bytes)),
            "salt": HEXLOWER.encode(&self.salt),
        })
    }
}

impl Signed {
    /// Sends these bytes as the answer said.
    pub(crate) async fn put(&self, bytes: Vec<u8>) -> Response {
        self.send(Method::PUT, bytes).await
    }

    /// Whether the bucket refuses these bytes. It may do so before it has read them, and close the connection.
    pub(crate) async fn is_refused(&self, method: Method, bytes: Vec<u8>) -> bool {
        match self.request(method, bytes).send().await {
            Ok(answer) => answer.status().is_client_error(),
            Err(error) => error.is_request(),
        }
    }

    pub(crate) async fn send(&self, method: Method, bytes: Vec<u8>) -> Response {
        self.request(method, bytes).send().await.unwrap()
    }

    fn request(&self, method: Method, bytes: Vec<u8>) -> reqwest::RequestBuilder {
        let request = reqwest::Client::new().request(method, &self.url);
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value)).body(bytes)
    }
}

/// Begins the upload of a new file in the root folder.
pub(crate) async fn begin(login: &Login, name: &str, size: usize) -> Upload {
    begin_with(login, &json!({"parent": "root", "name": name, "size": size})).await
}

/// Begins an upload that is described in full.
pub(crate) async fn begin_with(login: &Login, body: &Value) -> Upload {
    Upload::new(login, login.create("/uploads", body).await)
}

/// The refusal of a beginning.
pub(crate) async fn begin_refused(login: &Login, body: &Value) -> (StatusCode, String) {
    problem_of(login.request(Method::POST, "/uploads").json(body).send().await.unwrap()).await
}

/// The content hash of docs/format.md.
pub(crate) fn content_hash(content: &[u8], part_size: usize) -> String {
    let mut hash = ContentHash::default();
    let mut parts = content.chunks(part_size).peekable();
    if parts.peek().is_none() {
        hash.push_part(&sha256(&[]));
    }
    for part in parts {
        hash.push_part(&sha256(part));
    }
    HEXLOWER.encode(&hash.finish())
}

impl Upload {
    pub(crate) fn new(login: &Login, json: Value) -> Self {
        let bytes = |name: &str| HEXLOWER.decode(json[name].as_str().unwrap().as_bytes()).unwrap();
        let k = u8::try_from(json["part_size_log2"].as_u64().unwrap()).unwrap();
        let context = PartContext {
            vault_id: VaultId(bytes("vault_id").try_into().unwrap()),
            blob_id: BlobId(bytes("blob_id").try_into().unwrap()),
            geometry: Geometry::from_k(k).unwrap(),
            part: 0,
            is_final: false,
        };
        let dek = Dek::from_bytes(bytes("key").try_into().unwrap());
        Self { login: login.clone(), id: json["id"].as_str().unwrap().to_owned(), dek, context, json }
    }

    pub(crate) fn part_size(&self) -> usize {
        usize::try_from(self.json["part_size"].as_u64().unwrap()).unwrap()
    }

    pub(crate) fn part_count(&self) -> u32 {
        u32::try_from(self.json["part_count"].as_u64().unwrap()).unwrap()
    }

    /// The key of the object that it makes.
    pub(crate) fn object_key(&self) -> String {
        format!("blob/{}", self.json["blob_id"].as_str().unwrap())
    }

    /// The plaintext of a part of the whole content.
    pub(crate) fn slice<'a>(&self, content: &'a [u8], part: u32) -> &'a [u8] {
        let start = part as usize * self.part_size();
        &content[start..content.len().min(start + self.part_size())]
    }

    /// Seals a part anew.
    pub(crate) fn seal(&self, part: u32, plain: &[u8]) -> Sealed {
        let context = PartContext { part, is_final: part + 1 == self.part_count(), ..self.context };
        let mut bytes = Vec::new();
        let salt = seal_part(&self.dek, &context, plain, &mut bytes);
        Sealed { part, bytes, salt }
    }

    pub(crate) fn seal_all(&self, content: &[u8]) -> Vec<Sealed> {
        (0..self.part_count()).map(|part| self.seal(part, self.slice(content, part))).collect()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        let path = format!("/uploads/{}{path}", self.id);
        self.login.request(Method::POST, &path).json(body).send().await.unwrap()
    }

    /// URLs for these encryptions.
    pub(crate) async fn sign(&self, parts: &[Sealed]) -> Vec<Signed> {
        let parts: Vec<Value> = parts.iter().map(Sealed::to_json).collect();
        let answer = json_of(self.post("/parts", &json!({"parts": parts})).await, StatusCode::OK).await;
        let signed = |item: &Value| {
            assert_eq!(item["method"], "PUT");
            let headers = item["headers"].as_object().unwrap().iter();
            let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
            Signed { url: item["url"].as_str().unwrap().to_owned(), headers }
        };
        answer["items"].as_array().unwrap().iter().map(signed).collect()
    }

    /// The refusal to sign.
    pub(crate) async fn sign_refused(&self, parts: &[Value]) -> (StatusCode, String) {
        problem_of(self.post("/parts", &json!({"parts": parts})).await).await
    }

    /// Sends these parts, and gives the bucket's entity tags.
    pub(crate) async fn send(&self, parts: &[Sealed]) -> Vec<String> {
        let mut etags = Vec::new();
        for (part, signed) in parts.iter().zip(self.sign(parts).await) {
            let answer = signed.put(part.bytes.clone()).await;
            let (status, etag) = (answer.status(), answer.headers().get("etag").cloned());
            assert_eq!(status, StatusCode::OK, "{}", answer.text().await.unwrap());
            etags.push(etag.unwrap().to_str().unwrap().to_owned());
        }
        etags
    }

    pub(crate) async fn confirm(&self, parts: &[Sealed], etags: &[String]) -> Value {
        json_of(self.confirm_raw(parts, etags).await, StatusCode::OK).await
    }

    pub(crate) async fn confirm_raw(&self, parts: &[Sealed], etags: &[String]) -> Response {
        let confirmed = parts
            .iter()
            .zip(etags)
            .map(|(part, etag)| json!({"part": part.part, "salt": HEXLOWER.encode(&part.salt), "etag": etag}));
        self.post("/parts/confirm", &json!({"parts": confirmed.collect::<Vec<_>>()})).await
    }

    /// Seals, sends and confirms everything; answers the parts.
    pub(crate) async fn send_all(&self, content: &[u8]) -> Vec<Sealed> {
        let parts = self.seal_all(content);
        for batch in parts.chunks(4) {
            let etags = self.send(batch).await;
            self.confirm(batch, &etags).await;
        }
        parts
    }

    pub(crate) async fn complete_raw(&self, content: &[u8]) -> Response {
        self.post("/complete", &json!({"content_hash": content_hash(content, self.part_size())})).await
    }

    /// Completes, and answers the node.
    pub(crate) async fn complete(&self, content: &[u8]) -> Value {
        json_of(self.complete_raw(content).await, StatusCode::OK).await
    }

    /// The refusal of a completion.
    pub(crate) async fn complete_refused(&self, content: &[u8]) -> (StatusCode, String) {
        problem_of(self.complete_raw(content).await).await
    }

    pub(crate) async fn get(&self) -> Response {
        self.login.request(Method::GET, &format!("/uploads/{}", self.id)).send().await.unwrap()
    }

    pub(crate) async fn cancel(&self) -> StatusCode {
        self.login.request(Method::DELETE, &format!("/uploads/{}", self.id)).send().await.unwrap().status()
    }
}

/// Uploads content directly from beginning to end, and answers the node.
pub(crate) async fn upload(login: &Login, name: &str, content: &[u8]) -> Value {
    let upload = begin(login, name, content.len()).await;
    upload.send_all(content).await;
    upload.complete(content).await
}
