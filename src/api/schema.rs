//! The nouns that answers are made of.
//!
//! No unions: what only a file has is in the optional `file`. Times are RFC 3339 in UTC, sizes bytes, ids opaque.

use data_encoding::HEXLOWER;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object};
use time::OffsetDateTime;

use super::conditional::entity_tag;
use crate::vault::{self, NodeView, Page, VersionView};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "NodeKind", rename_all = "snake_case")]
pub enum Kind {
    /// It holds other nodes.
    Folder,
    /// It holds bytes.
    File,
}

/// A folder or file.
#[derive(Debug, Clone, Object)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Node {
    /// Its id; it never changes.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its name, in NFC. The root folder has none.
    #[oai(validator(max_length = 255))]
    pub name: String,
    /// The folder it is in; absent for the root.
    pub parent: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When its content last changed; a folder's is its making.
    pub modified_at: OffsetDateTime,
    /// Whether the owner marked it.
    pub starred: bool,
    /// When it was put into the trash; absent where it was not.
    pub trashed_at: Option<OffsetDateTime>,
    /// Changes with every change; its quoted form is the entity tag for `If-Match`.
    pub revision: String,
    /// How many nodes a folder holds; absent for a file.
    pub children: Option<u64>,
    /// What only a file has.
    pub file: Option<FileDetails>,
}

/// The present content of a file.
#[derive(Debug, Clone, Object)]
pub struct FileDetails {
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its media type.
    pub media_type: String,
    /// The id of the present version; its quoted form is the entity tag of the content.
    pub version: String,
    /// SHA-256 over the concatenated SHA-256 of each part, in hex.
    pub content_hash: String,
}

/// One state of a file's content.
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its media type.
    pub media_type: String,
    /// SHA-256 over the concatenated SHA-256 of each part, in hex.
    pub content_hash: String,
    /// When it became the file's content.
    pub created_at: OffsetDateTime,
    /// When another one replaced it; absent for the present one.
    pub replaced_at: Option<OffsetDateTime>,
}

/// Some of the nodes of a list.
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct NodePage {
    /// The nodes.
    pub items: Vec<Node>,
    /// Where the next page begins; absent on the last one.
    pub next: Option<String>,
    /// How many there are on all pages.
    pub total: u64,
}

/// Some of the versions of a file, the present one first.
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct VersionPage {
    /// The versions.
    pub items: Vec<Version>,
    /// Where the next page begins; absent on the last one.
    pub next: Option<String>,
    /// How many there are on all pages.
    pub total: u64,
}

/// A node with its entity tag.
#[derive(ApiResponse)]
pub enum NodeFound {
    /// The node.
    #[oai(status = 200)]
    Found(
        Json<Node>,
        /// The node's entity tag, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

/// A node that was made.
#[derive(ApiResponse)]
pub enum NodeCreated {
    /// The new node.
    #[oai(status = 201)]
    Created(
        Json<Node>,
        /// The node's entity tag, for `If-Match`.
        #[oai(header = "ETag")]
        String,
        /// Where the node is.
        #[oai(header = "Location")]
        String,
    ),
}

/// It is done, and there is nothing to say.
#[derive(ApiResponse)]
pub enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

impl From<Node> for NodeFound {
    fn from(node: Node) -> Self {
        let tag = entity_tag(&node.revision);
        Self::Found(Json(node), tag)
    }
}

impl From<Node> for NodeCreated {
    fn from(node: Node) -> Self {
        let (tag, location) = (entity_tag(&node.revision), format!("{}/nodes/{}", super::PREFIX, node.id));
        Self::Created(Json(node), tag, location)
    }
}

impl From<NodeView> for Node {
    fn from(view: NodeView) -> Self {
        let file = view.file.map(|file| FileDetails {
            size_bytes: file.size_bytes,
            media_type: file.media_type,
            version: file.id.hex(),
            content_hash: HEXLOWER.encode(&file.content_hash),
        });
        Self {
            id: view.id.to_string(),
            kind: match view.kind {
                vault::Kind::Folder => Kind::Folder,
                vault::Kind::File => Kind::File,
            },
            name: view.name,
            parent: view.parent.map(|parent| parent.to_string()),
            created_at: time_of(view.created_ms),
            modified_at: time_of(view.modified_ms),
            starred: view.starred,
            trashed_at: view.trashed_ms.map(time_of),
            revision: view.revision.to_string(),
            children: view.children,
            file,
        }
    }
}

impl From<NodeView> for NodeFound {
    fn from(view: NodeView) -> Self {
        Node::from(view).into()
    }
}

impl From<NodeView> for NodeCreated {
    fn from(view: NodeView) -> Self {
        Node::from(view).into()
    }
}

impl From<Page<NodeView>> for NodePage {
    fn from(page: Page<NodeView>) -> Self {
        Self { items: page.items.into_iter().map(Node::from).collect(), next: page.next, total: page.total }
    }
}

impl From<VersionView> for Version {
    fn from(view: VersionView) -> Self {
        Self {
            id: view.id.hex(),
            size_bytes: view.size_bytes,
            media_type: view.media_type,
            content_hash: HEXLOWER.encode(&view.content_hash),
            created_at: time_of(view.created_ms),
            replaced_at: view.replaced_ms.map(time_of),
        }
    }
}

impl From<Page<VersionView>> for VersionPage {
    fn from(page: Page<VersionView>) -> Self {
        Self { items: page.items.into_iter().map(Version::from).collect(), next: page.next, total: page.total }
    }
}

impl Example for Node {
    fn example() -> Self {
        Self {
            id: "8d1c5f0e6a2b4c7d9e3f1a0b5c6d7e8f".into(),
            kind: Kind::File,
            name: "Report.pdf".into(),
            parent: Some("root".into()),
            created_at: OffsetDateTime::UNIX_EPOCH,
            modified_at: OffsetDateTime::UNIX_EPOCH,
            starred: false,
            trashed_at: None,
            revision: "41-0".into(),
            children: None,
            file: Some(FileDetails {
                size_bytes: 48_213,
                media_type: "application/pdf".into(),
                version: "3b9f0e1d2c4a5b6c7d8e9f0a1b2c3d4e".into(),
                content_hash: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03".into(),
            }),
        }
    }
}

/// A Unix time in milliseconds, as the API shows it. Times past the year 9999 cannot be written and show as that year.
pub fn time_of(unix_ms: u64) -> OffsetDateTime {
    const LAST_MS: u64 = 253_402_300_799_999;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms.min(LAST_MS)) * 1_000_000)
        .expect("the limit is inside the range of the type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem_openapi::types::ToJSON;

    #[test]
    fn times_are_rfc_3339_in_utc_up_to_the_last_that_can_be_written() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(time_of(ms).to_json(), Some(text.into()));
        }
    }
}
