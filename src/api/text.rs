//! Texts of the API that are parsed once, here at the edge, and described with the limits that are checked.
//!
//! The framework's own `String` takes numbers and booleans for text; these take text alone.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{MaybeUndefined, ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};
use serde_json::Value;
use zeroize::Zeroize;

use super::problem::{Code, Problem};
use crate::config::Secret;
use crate::crypto::{BlobId, Salt};
use crate::owner::{MAX_PASSKEY_NAME_CHARS, PasskeyId, TokenId};
use crate::session::{SessionId, Ticket};
use crate::vault::{FeedPlace, NodeId, VersionId};

/// A member that may be left out. Nothing in a request is taken away by `null`, so that is a mistake and not a way to say
/// nothing.
///
/// # Errors
/// `INVALID_REQUEST` for `null`.
pub fn given<T>(member: MaybeUndefined<T>) -> Result<Option<T>, Problem> {
    match member {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Value(value) => Ok(Some(value)),
        MaybeUndefined::Null => {
            Err(Problem::new(Code::InvalidRequest).with_detail("Leave out what you do not give: null is no value."))
        }
    }
}

/// What the description says of a text type.
struct Shape {
    description: &'static str,
    format: Option<&'static str>,
    pattern: Option<&'static str>,
    length: (usize, usize),
    example: Option<&'static str>,
}

impl Shape {
    fn schema(&self) -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some(self.description),
            format: self.format,
            pattern: self.pattern.map(str::to_owned),
            min_length: (self.length.0 > 0).then_some(self.length.0),
            max_length: Some(self.length.1),
            example: self.example.map(Value::from),
            ..MetaSchema::new("string")
        }))
    }

    /// JSON Schema counts characters.
    fn holds(&self, text: &str) -> bool {
        (self.length.0..=self.length.1).contains(&text.chars().count())
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident($inner:ty) as $type_name:literal, $shape:expr, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub $inner);

        impl $name {
            const SHAPE: Shape = $shape;

            fn parse(text: &str) -> ParseResult<Self> {
                if !Self::SHAPE.holds(text) {
                    let (least, most) = Self::SHAPE.length;
                    return Err(ParseError::custom(format!("it must have {least} to {most} characters")));
                }
                let parse: fn(&str) -> Option<$inner> = $parse;
                parse(text).map(Self).ok_or_else(|| ParseError::custom("it has not the form that is documented"))
            }
        }

        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $type_name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                Self::SHAPE.schema()
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value {
                    Some(Value::String(mut text)) => {
                        let parsed = Self::parse(&text);
                        text.zeroize();
                        parsed
                    }
                    _ => Err(ParseError::custom("a text is expected")),
                }
            }
        }

        /// Nothing: these come in and never go out.
        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                None
            }
        }

        impl ParseFromParameter for $name {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                Self::parse(text)
            }
        }
    };
}

text_type! {
    /// The id of a folder or file, which `Caller::node` turns into a node's.
    NodeRef(ClaimedNode) as "node_id",
    Shape {
        description: "The id of a folder or file; `root` is the folder that holds everything.",
        format: None,
        pattern: Some("^(root|[0-9a-f]{32})$"),
        length: (4, 32),
        example: Some("root"),
    },
    |text| text.parse().ok().map(ClaimedNode)
}

/// A node that a request names. Whether its caller reaches it is not known yet.
#[derive(Debug, Clone, Copy)]
pub struct ClaimedNode(NodeId);

impl ClaimedNode {
    /// The id, whoever asks: for `reach` alone.
    pub fn unchecked(self) -> NodeId {
        self.0
    }
}

text_type! {
    /// A name as it was given; the vault decides whether it is one.
    GivenName(String) as "name",
    Shape {
        description: "A name of at most 255 bytes in UTF-8 after normalisation to NFC, without `/`, controls and \
                      characters that turn the direction of text; not `.` or `..`.",
        format: None,
        pattern: None,
        length: (1, 255),
        example: Some("Report.pdf"),
    },
    |text| Some(text.to_owned())
}

text_type! {
    /// What somebody looks for.
    SearchText(String) as "search_text",
    Shape {
        description: "A part of a name; case and accents make no difference.",
        format: None,
        pattern: None,
        length: (1, 255),
        example: Some("report"),
    },
    |text| Some(text.to_owned())
}

text_type! {
    /// An e-mail address as it was given.
    GivenEmail(String) as "email",
    Shape { description: "The owner's e-mail.", format: None, pattern: None, length: (1, 254), example: Some("owner@example.org") },
    |text| Some(text.to_owned())
}

text_type! {
    /// A password as it was given.
    GivenPassword(Secret) as "password",
    Shape { description: "The owner's password.", format: Some("password"), pattern: None, length: (1, 1024), example: None },
    |text| Some(Secret::new(text.to_owned()))
}

text_type! {
    /// A code of an authenticator app.
    GivenCode(Secret) as "totp_code",
    Shape {
        description: "The six digits that the authenticator app shows.",
        format: None,
        pattern: Some("^[0-9]{6}$"),
        length: (6, 6),
        example: Some("287082"),
    },
    |text| text.bytes().all(|b| b.is_ascii_digit()).then(|| Secret::new(text.to_owned()))
}

text_type! {
    /// A recovery code.
    GivenRecoveryCode(Secret) as "recovery_code",
    Shape {
        description: "One of the recovery codes; case, dashes and spaces do not matter.",
        format: None,
        pattern: None,
        length: (16, 32),
        example: Some("abcd-efgh-jkmn-pqrs"),
    },
    |text| Some(Secret::new(text.to_owned()))
}

text_type! {
    /// Bytes that a browser hands on from an authenticator.
    GivenBytes(Vec<u8>) as "base64url",
    Shape {
        description: "Bytes in base64url without padding, as `PublicKeyCredential.toJSON()` writes them.",
        format: None,
        pattern: Some("^[A-Za-z0-9_-]+$"),
        length: (1, 16_384),
        example: None,
    },
    |text| data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

text_type! {
    /// The id of a passkey.
    PasskeyRef(PasskeyId) as "passkey_id",
    Shape {
        description: "The id of a passkey.",
        format: None,
        pattern: Some("^[0-9a-f]{32}$"),
        length: (32, 32),
        example: Some("3b9f0e1d2c4a5b6c7d8e9f0a1b2c3d4e"),
    },
    PasskeyId::parse
}

text_type! {
    /// The owner's name for a passkey.
    PasskeyName(String) as "passkey_name",
    Shape {
        description: "The owner's name for a passkey, without control characters.",
        format: None,
        pattern: None,
        length: (1, MAX_PASSKEY_NAME_CHARS),
        example: Some("Laptop"),
    },
    |text| (!text.trim().is_empty() && !text.chars().any(char::is_control)).then(|| text.trim().to_owned())
}

text_type! {
    /// The id of a session.
    SessionRef(SessionId) as "session_id",
    Shape {
        description: "The id of a session.",
        format: None,
        pattern: Some("^[0-9a-f]{64}$"),
        length: (64, 64),
        example: Some("0b6f3c58a1d24e0f9c7d1e2f3a4b5c6d0b6f3c58a1d24e0f9c7d1e2f3a4b5c6d"),
    },
    SessionId::from_hex
}

text_type! {
    /// The id of a version of a file.
    VersionRef(VersionId) as "version_id",
    Shape {
        description: "The id of a version of a file.",
        format: None,
        pattern: Some("^[0-9a-f]{32}$"),
        length: (32, 32),
        example: Some("3b9f0e1d2c4a5b6c7d8e9f0a1b2c3d4e"),
    },
    VersionId::from_hex
}

text_type! {
    /// What the owner calls something.
    Label(String) as "label",
    Shape {
        description: "A name to recognise it by, without controls.",
        format: None,
        pattern: None,
        length: (1, 64),
        example: Some("Backup of the laptop"),
    },
    |text| (!text.trim().is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

text_type! {
    /// The id of an app token.
    TokenRef(TokenId) as "token_id",
    Shape {
        description: "The id of an app token.",
        format: None,
        pattern: Some("^[0-9a-f]{32}$"),
        length: (32, 32),
        example: Some("3b9f0e1d2c4a5b6c7d8e9f0a1b2c3d4e"),
    },
    TokenId::from_hex
}

text_type! {
    /// A place among the events.
    EventRef(FeedPlace) as "event_id",
    Shape {
        description: "The id of an event.",
        format: None,
        pattern: Some("^[0-9]{1,20}-[0-9]{1,10}$"),
        length: (3, 31),
        example: Some("17-0"),
    },
    |text| text.parse().ok()
}

text_type! {
    /// The secret of a ticket.
    TicketRef(Ticket) as "ticket",
    Shape {
        description: "The last segment of a ticket's URL.",
        format: None,
        pattern: Some("^[0-9a-f]{64}$"),
        length: (64, 64),
        example: None,
    },
    Ticket::from_hex
}

text_type! {
    /// Where a page begins.
    Cursor(String) as "cursor",
    Shape {
        description: "The `next` of the page before; opaque.",
        format: None,
        pattern: Some("^[A-Za-z0-9_-]+$"),
        length: (1, 2048),
        example: None,
    },
    |text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)).then(|| text.to_owned())
}

text_type! {
    /// A key that makes the repetition of a creation harmless.
    IdempotencyKey(String) as "idempotency_key",
    Shape {
        description: "Any text of the client's own making, best a random UUID. A creation repeated with the same key \
                      within 24 hours answers what the first one made.",
        format: None,
        pattern: Some("^[!-~]+$"),
        length: (1, 255),
        example: Some("6f1f0c9e-3c34-4b4e-9a5c-0d1f2c7c5a11"),
    },
    |text| text.bytes().all(|b| b.is_ascii_graphic()).then(|| text.to_owned())
}

text_type! {
    /// The entity tag that a change is conditional on.
    EntityTags(String) as "entity_tags",
    Shape {
        description: "One entity tag as RFC 9110 writes it, or `*`.",
        format: None,
        pattern: Some("^[^,]*$"),
        length: (1, 1024),
        example: None,
    },
    |text| Some(text.to_owned())
}

text_type! {
    /// The id of an upload.
    UploadRef(BlobId) as "upload_id",
    Shape {
        description: "The id of an upload.",
        format: None,
        pattern: Some("^[0-9a-f]{32}$"),
        length: (32, 32),
        example: Some("3b9f0e1d2c4a5b6c7d8e9f0a1b2c3d4e"),
    },
    BlobId::from_hex
}

text_type! {
    /// The salt of an encryption.
    GivenSalt(Salt) as "salt",
    Shape {
        description: "The salt of one encryption, 24 bytes in hex.",
        format: None,
        pattern: Some("^[0-9a-f]{48}$"),
        length: (48, 48),
        example: None,
    },
    hex
}

text_type! {
    /// The SHA-256 of sealed bytes.
    GivenSha256([u8; 32]) as "sha256",
    Shape {
        description: "SHA-256 of the sealed bytes, in hex.",
        format: None,
        pattern: Some("^[0-9a-f]{64}$"),
        length: (64, 64),
        example: None,
    },
    hex
}

text_type! {
    /// The MD5 of sealed bytes.
    GivenMd5([u8; 16]) as "md5",
    Shape {
        description: "MD5 of the sealed bytes, in hex.",
        format: None,
        pattern: Some("^[0-9a-f]{32}$"),
        length: (32, 32),
        example: None,
    },
    hex
}

text_type! {
    /// The hash of a content.
    ContentDigest([u8; 32]) as "content_hash",
    Shape {
        description: "SHA-256 over the concatenated SHA-256 of each part's plaintext, in hex.",
        format: None,
        pattern: Some("^[0-9a-f]{64}$"),
        length: (64, 64),
        example: None,
    },
    hex
}

text_type! {
    /// An entity tag that the bucket answered.
    GivenEtag(String) as "bucket_etag",
    Shape {
        description: "The `ETag` that the bucket answered, with or without its quotes.",
        format: None,
        pattern: Some("^[!-~]+$"),
        length: (1, 256),
        example: None,
    },
    |text| text.bytes().all(|b| b.is_ascii_graphic()).then(|| text.to_owned())
}

text_type! {
    /// A media type as it was given.
    GivenMediaType(String) as "media_type",
    Shape {
        description: "A media type such as `image/png`; the content must not contradict it.",
        format: None,
        pattern: None,
        length: (3, 127),
        example: Some("application/pdf"),
    },
    |text| Some(text.to_owned())
}

/// Exactly `N` bytes in lower-case hex.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json<T: ParseFromJSON>(value: Value) -> Result<T, String> {
        T::parse_from_json(Some(value)).map_err(ParseError::into_message)
    }

    #[test]
    fn only_text_is_text() {
        for value in [Value::Null, Value::from(1), Value::from(true), Value::from(vec!["a"]), serde_json::json!({})] {
            assert!(json::<GivenName>(value.clone()).is_err(), "{value}");
        }
        assert!(GivenName::parse_from_json(None).is_err());
        assert!(json::<GivenName>(Value::from("a")).is_ok());
    }

    #[test]
    fn limits_hold_at_the_limit_and_not_one_past_it() {
        assert!(json::<GivenName>(Value::from("é".repeat(255))).is_ok());
        assert!(json::<GivenName>(Value::from("é".repeat(256))).is_err());
        assert!(json::<GivenPassword>(Value::from("x".repeat(1024))).is_ok());
        assert!(json::<GivenPassword>(Value::from("x".repeat(1025))).is_err());
        assert!(json::<IdempotencyKey>(Value::from("")).is_err());
    }

    #[test]
    fn a_refusal_does_not_quote_the_value() {
        let refusal = json::<GivenPassword>(Value::from("hunter2".repeat(200))).unwrap_err();
        assert!(!refusal.contains("hunter2"), "{refusal}");
        assert!(!json::<NodeRef>(Value::from("../../etc/passwd")).unwrap_err().contains("passwd"));
    }

    #[test]
    fn patterns_describe_what_is_taken() {
        for (text, taken) in [("root", true), (&"0".repeat(32), true), ("ROOT", false), (&"G".repeat(32), false)] {
            assert_eq!(json::<NodeRef>(Value::from(text)).is_ok(), taken, "{text}");
        }
        for (text, taken) in [("0".repeat(48), true), ("0".repeat(47), false), ("A".repeat(48), false)] {
            assert_eq!(json::<GivenSalt>(Value::from(text.clone())).is_ok(), taken, "{text}");
        }
        for (text, taken) in
            [("\"a-2\"".to_owned(), true), ("x".repeat(256), true), ("x".repeat(257), false), ("a b".to_owned(), false)]
        {
            assert_eq!(json::<GivenEtag>(Value::from(text.clone())).is_ok(), taken, "{text}");
        }
        for (text, taken) in [("abc-_9", true), ("a b", false), ("a/b", false)] {
            assert_eq!(json::<Cursor>(Value::from(text)).is_ok(), taken, "{text}");
        }
    }
}
