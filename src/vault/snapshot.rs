//! The whole catalog as CBOR: what a checkpoint holds.
//!
//! Nodes stand in the order of the tree (folders before what they hold, siblings in their natural order; then the trash,
//! then what waits to be purged), so writing is one walk, reading appends to every list, and equal states give equal
//! bytes. The schema has a number: another one is refused, since only its own version can know what it means.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use super::{
    answers::Answer,
    catalog::{Catalog, Marks},
    codec::{fixed, fixed_list},
    id::NodeId,
    node::{Node, Standing},
    retired::Fate,
    settings,
};
use crate::crypto::BlobId;
use crate::log::{Inconsistent, Machine};

/// The number of this schema.
const SCHEMA: u8 = 1;

/// Writes the whole state.
pub(super) fn write(catalog: &Catalog) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    write_to(catalog, &mut encoder).expect("writing to a vector can't fail");
    encoder.into_writer()
}

/// Reads it back.
pub(super) fn read(bytes: &[u8]) -> Result<Catalog, Inconsistent> {
    let mut decoder = Decoder::new(bytes);
    let catalog = read_from(&mut decoder).map_err(|_| Inconsistent("the snapshot is of another version or damaged"))?;
    if decoder.position() != bytes.len() {
        return Err(Inconsistent("something follows the snapshot"));
    }
    Ok(catalog)
}

type Written = Result<(), encode::Error<std::convert::Infallible>>;

fn write_to(catalog: &Catalog, encoder: &mut Encoder<Vec<u8>>) -> Written {
    let Marks { session_epoch, restore_floor } = catalog.marks;
    let has_settings = catalog.settings.len() > 0;
    encoder.map(7 + u64::from(has_settings))?.u8(0)?.u8(SCHEMA)?;
    encoder.u8(1)?.u64(session_epoch)?;
    encoder.u8(2)?.u64(restore_floor)?;
    encoder.u8(3)?.array(catalog.index.len() as u64 - 1)?;
    for node in catalog.index.all().skip(1) {
        node.encode(encoder, &mut ())?;
    }
    encoder.u8(4)?;
    fixed_list::encode(&catalog.retired.waiting().iter().copied().collect::<Vec<_>>(), encoder, &mut ())?;
    encoder.u8(5)?;
    fixed_list::encode(&catalog.retired.deleted().collect::<Vec<_>>(), encoder, &mut ())?;
    let answers = catalog.answers.iter();
    encoder.u8(6)?.array(answers.len() as u64)?;
    for (key, answer) in answers {
        encoder.array(4)?;
        fixed::encode(&key, encoder, &mut ())?;
        fixed::encode(&answer.fingerprint, encoder, &mut ())?;
        fixed::encode(&answer.node, encoder, &mut ())?;
        encoder.u64(answer.at_ms)?;
    }
    if has_settings {
        encoder.u8(7)?;
        settings::write(&catalog.settings, encoder)?;
    }
    Ok(())
}

fn read_from(decoder: &mut Decoder<'_>) -> Result<Catalog, decode::Error> {
    let mut catalog = Catalog::empty();
    let keys = decoder.map()?;
    expect(matches!(keys, Some(7 | 8)), "a map of seven or eight")?;
    expect(decoder.u8()? == 0 && decoder.u8()? == SCHEMA, "the schema's number")?;
    expect(decoder.u8()? == 1, "key 1")?;
    let session_epoch = decoder.u64()?;
    expect(decoder.u8()? == 2, "key 2")?;
    catalog.marks = Marks { session_epoch, restore_floor: decoder.u64()? };
    expect(decoder.u8()? == 3, "key 3")?;
    for _ in 0..decoder.array()?.unwrap_or_default() {
        let node = Node::decode(decoder, &mut ())?;
        expect(has_room(&catalog, &node), "room for a node")?;
        catalog.index.replace(node.id, Some(node));
    }
    for (key, fate) in [(4, Fate::Purged), (5, Fate::Deleted)] {
        expect(decoder.u8()? == key, "key 4 or 5")?;
        for blob in fixed_list::decode::<_, BlobId>(decoder, &mut ())? {
            let is_new = catalog.index.uses(blob) == 0 && catalog.retired.replace(blob, Some(fate)).is_none();
            expect(is_new, "a blob with one fate")?;
        }
    }
    expect(decoder.u8()? == 6, "key 6")?;
    for _ in 0..decoder.array()?.unwrap_or_default() {
        expect(decoder.array()? == Some(4), "an answer")?;
        let key = fixed::decode(decoder, &mut ())?;
        let fingerprint = fixed::decode(decoder, &mut ())?;
        let node = fixed::decode(decoder, &mut ())?;
        catalog.answers.replace(key, Some(Answer { fingerprint, node, at_ms: decoder.u64()? }));
    }
    if keys == Some(8) {
        expect(decoder.u8()? == 7, "key 7")?;
        catalog.settings = settings::read(decoder)?;
    }
    Ok(catalog)
}

fn has_room(catalog: &Catalog, node: &Node) -> bool {
    let index = &catalog.index;
    let parent_fits = || index.get(node.parent).is_some_and(Node::is_folder);
    node.id != NodeId::ROOT
        && index.get(node.id).is_none()
        && (node.standing != Standing::Live || parent_fits() && index.child(node.parent, &node.name).is_none())
}

fn expect(holds: bool, what: &'static str) -> Result<(), decode::Error> {
    if holds { Ok(()) } else { Err(decode::Error::message(what)) }
}
