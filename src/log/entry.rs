//! An entry's body: the envelope around the operations, as deterministic CBOR (RFC 8949, 4.2.1) with integer keys.
//!
//! Reading is strict by construction: what was decoded is encoded again and must give the same bytes. So an unknown key,
//! a second way to write a number, a trailing byte or a repeated key are all refused, and so is an operation of a newer
//! version; the refusal names the version that wrote the entry. This module knows neither keys nor objects.

use minicbor::bytes::ByteArray;
use minicbor::data::Type;
use minicbor::decode::Decoder;
use minicbor::encode::{Encoder, Write};
use minicbor::{Decode, Encode, decode, encode};
use thiserror::Error;

use super::CommitMeta;
use super::own::OwnOperation;

/// The version that this program writes into its entries.
pub(crate) const WRITER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Operation numbers below this one are the log's own, the machine's begin here.
pub const FIRST_MACHINE_OPERATION: u32 = 32;

/// What an entry says: who wrote it with which version, when, and the commits it carries.
#[derive(Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Envelope<O> {
    /// The program's version.
    #[n(0)]
    pub(crate) version: String,
    /// Unix milliseconds, never before the previous entry's.
    #[n(1)]
    pub(crate) at_ms: u64,
    /// In the order in which they take effect.
    #[n(2)]
    pub(crate) commits: Vec<Commit<O>>,
}

/// One caller's operations: all take effect or none.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Commit<O> {
    #[n(0)]
    actor: String,
    #[n(1)]
    session: Option<String>,
    #[n(2)]
    client: Option<String>,
    #[n(3)]
    request_id: String,
    #[n(4)]
    idempotency: Option<ByteArray<32>>,
    #[n(5)]
    operations: Vec<Operation<O>>,
    #[n(6)]
    address: Option<String>,
}

/// An operation of the log itself or of the machine it carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation<O> {
    /// Numbers 0 to 31.
    Own(OwnOperation),
    /// Numbers from 32.
    Machine(O),
}

/// Why a body is not one that this program understands.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum EntryError {
    /// Not an envelope at all, though its seal is good.
    #[error("it is not an envelope of any known version")]
    NotAnEnvelope,
    /// Something in it is unknown here.
    #[error(
        "it was written by version {version} and says something that this version ({WRITER_VERSION}) does not know"
    )]
    Unknown {
        /// The version that wrote it.
        version: String,
    },
}

impl<O> Commit<O> {
    /// Puts a caller's description and operations together.
    pub(crate) fn new(meta: CommitMeta, operations: Vec<Operation<O>>) -> Self {
        let CommitMeta { actor, session, client, address, request_id, idempotency } = meta;
        let idempotency = idempotency.map(ByteArray::from);
        Self { actor, session, client, request_id, idempotency, operations, address }
    }

    /// The operations, in order.
    pub(crate) fn operations(&self) -> &[Operation<O>] {
        &self.operations
    }

    /// A copy of the caller's description.
    pub(crate) fn meta(&self) -> CommitMeta {
        CommitMeta {
            actor: self.actor.clone(),
            session: self.session.clone(),
            client: self.client.clone(),
            address: self.address.clone(),
            request_id: self.request_id.clone(),
            idempotency: self.idempotency.map(Into::into),
        }
    }

    /// Takes them apart again.
    pub(crate) fn into_parts(self) -> (CommitMeta, Vec<Operation<O>>) {
        let Self { actor, session, client, request_id, idempotency, operations, address } = self;
        let idempotency = idempotency.map(Into::into);
        (CommitMeta { actor, session, client, address, request_id, idempotency }, operations)
    }
}

impl<O: Encode<()>> Commit<O> {
    /// The commit alone, as it will stand in the envelope.
    pub(crate) fn encode(&self) -> Vec<u8> {
        to_cbor(self)
    }
}

/// Builds a body around commits that were encoded one by one.
pub(crate) fn assemble(at_ms: u64, commits: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    let written = encoder
        .map(3)
        .and_then(|e| e.u8(0)?.str(WRITER_VERSION))
        .and_then(|e| e.u8(1)?.u64(at_ms))
        .and_then(|e| e.u8(2)?.array(commits.len() as u64));
    written.expect("writing to a vector can't fail");
    let mut body = encoder.into_writer();
    for commit in commits {
        body.extend_from_slice(commit);
    }
    body
}

impl<O: Encode<()> + for<'b> Decode<'b, ()>> Envelope<O> {
    /// Reads a body, strictly.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, EntryError> {
        let envelope: Option<Self> = minicbor::decode(body).ok();
        match envelope {
            Some(envelope) if to_cbor(&envelope) == body => Ok(envelope),
            _ => Err(not_understood(body)),
        }
    }
}

/// The log's own operations of a body. All others are passed over; [`Envelope::decode`] is who judges them.
pub(crate) fn own_operations(body: &[u8]) -> Result<Vec<OwnOperation>, EntryError> {
    let envelope: Envelope<PassedOver> = minicbor::decode(body).map_err(|_| not_understood(body))?;
    let operations = envelope.commits.into_iter().flat_map(|commit| commit.operations);
    let own = operations.filter_map(|operation| match operation {
        Operation::Own(operation) => Some(operation),
        Operation::Machine(PassedOver) => None,
    });
    Ok(own.collect())
}

/// A machine's operation that is not read.
struct PassedOver;

impl<'b, C> Decode<'b, C> for PassedOver {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        d.skip().map(|()| Self)
    }
}

/// The deterministic encoding of a value.
pub(crate) fn to_cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to a vector can't fail")
}

/// Decodes a value and refuses every other way to write it.
pub(crate) fn from_cbor<T: Encode<()> + for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Option<T> {
    minicbor::decode(bytes).ok().filter(|value| to_cbor(value) == bytes)
}

fn not_understood(body: &[u8]) -> EntryError {
    version_of(body).map_or(EntryError::NotAnEnvelope, |version| EntryError::Unknown { version })
}

/// The writer's version stands first so that any later version's envelope still says who wrote it.
fn version_of(body: &[u8]) -> Option<String> {
    let mut decoder = Decoder::new(body);
    decoder.map().ok()?;
    if decoder.u8().ok()? != 0 {
        return None;
    }
    decoder.str().ok().map(str::to_owned)
}

impl<C, O: Encode<C>> Encode<C> for Operation<O> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
        match self {
            Self::Own(operation) => operation.encode(e, ctx),
            Self::Machine(operation) => operation.encode(e, ctx),
        }
    }
}

impl<'b, C, O: Decode<'b, C>> Decode<'b, C> for Operation<O> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        let mut ahead = d.probe();
        ahead.array()?;
        if ahead.datatype()? == Type::U8 && ahead.u32()? < FIRST_MACHINE_OPERATION {
            OwnOperation::decode(d, ctx).map(Self::Own)
        } else {
            O::decode(d, ctx).map(Self::Machine)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Encode, Decode)]
    #[cbor(map)]
    enum Known {
        #[n(32)]
        Put {
            #[n(0)]
            key: u64,
            #[n(1)]
            value: Option<u64>,
        },
    }

    /// The same vocabulary, one version later.
    #[derive(Clone, Debug, PartialEq, Encode, Decode)]
    #[cbor(map)]
    enum Later {
        #[n(32)]
        Put {
            #[n(0)]
            key: u64,
            #[n(1)]
            value: Option<u64>,
            #[n(2)]
            colour: Option<u64>,
        },
        #[n(33)]
        Paint {},
    }

    fn commit<O>(operations: Vec<O>) -> Commit<O> {
        let meta = CommitMeta {
            actor: "owner".into(),
            request_id: "r1".into(),
            idempotency: Some([7; 32]),
            ..CommitMeta::default()
        };
        Commit::new(meta, operations.into_iter().map(Operation::Machine).collect())
    }

    fn unknown() -> Result<Envelope<Known>, EntryError> {
        Err(EntryError::Unknown { version: WRITER_VERSION.into() })
    }

    #[test]
    fn an_assembled_body_is_the_envelope_s_own_encoding() {
        let commits = vec![commit(vec![Known::Put { key: 1, value: None }]), commit(vec![])];
        let body = assemble(99, &commits.iter().map(Commit::encode).collect::<Vec<_>>());
        let envelope = Envelope { version: WRITER_VERSION.into(), at_ms: 99, commits };
        assert_eq!(to_cbor(&envelope), body);
        assert_eq!(Envelope::decode(&body), Ok(envelope));
    }

    #[test]
    fn an_unknown_operation_names_the_version_that_wrote_it() {
        let body = assemble(1, &[commit(vec![Later::Paint {}]).encode()]);
        assert_eq!(Envelope::<Known>::decode(&body), unknown());
    }

    #[test]
    fn an_unknown_key_names_the_version_that_wrote_it() {
        let body = assemble(1, &[commit(vec![Later::Put { key: 1, value: None, colour: Some(3) }]).encode()]);
        assert_eq!(Envelope::<Known>::decode(&body), unknown());
    }

    #[test]
    fn an_operation_number_of_the_log_that_is_not_in_use_is_refused() {
        let mut body = assemble(1, &[commit(vec![Known::Put { key: 1, value: None }]).encode()]);
        let at = body.windows(2).position(|pair| pair == [0x18, 32]).unwrap();
        body[at + 1] = 31;
        assert_eq!(Envelope::<Known>::decode(&body), unknown());
    }

    #[test]
    fn every_other_way_to_write_a_body_is_refused() {
        let body = assemble(5, &[commit(vec![Known::Put { key: 1, value: Some(2) }]).encode()]);
        assert!(Envelope::<Known>::decode(&body).is_ok());
        let mut trailing = body.clone();
        trailing.push(0);
        assert!(Envelope::<Known>::decode(&trailing).is_err());
        let at = body.windows(2).position(|pair| pair == [1, 5]).unwrap();
        let mut long = body.clone();
        long.splice(at + 1..at + 2, [0x18, 5]);
        assert!(Envelope::<Known>::decode(&long).is_err());
        for cut in 0..body.len() {
            assert!(Envelope::<Known>::decode(&body[..cut]).is_err());
        }
        assert_eq!(Envelope::<Known>::decode(&[0xff; 9]), Err(EntryError::NotAnEnvelope));
    }
}
