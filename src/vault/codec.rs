//! How the catalog's values look in CBOR where the derived form would not do: values of fixed length are byte strings,
//! and a list of them is one byte string.

use minicbor::{Decoder, Encoder, decode, encode};

use crate::crypto::{BlobId, Geometry, WrappedDek};

use super::{
    blob::{MediaType, Salts},
    id::NodeId,
    name::{FileName, MAX_NAME_BYTES},
};

/// A value that is a fixed number of bytes.
pub(super) trait Fixed: Sized {
    const BYTES: usize;
    fn bytes(&self) -> &[u8];
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl<const N: usize> Fixed for [u8; N] {
    const BYTES: usize = N;

    fn bytes(&self) -> &[u8] {
        self
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl Fixed for NodeId {
    const BYTES: usize = 16;

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }
}

impl Fixed for BlobId {
    const BYTES: usize = 16;

    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl Fixed for WrappedDek {
    const BYTES: usize = 89;

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes)
    }
}

/// One value of fixed length as a byte string.
pub(super) mod fixed {
    use minicbor::{
        decode::Error as DecodeError,
        encode::{Error, Write},
    };

    use super::{Decoder, Encoder, Fixed};

    pub(in crate::vault) fn encode<C, T: Fixed, W: Write>(
        value: &T,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Error<W::Error>> {
        encoder.bytes(value.bytes())?.ok()
    }

    pub(in crate::vault) fn decode<C, T: Fixed>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<T, DecodeError> {
        T::from_bytes(decoder.bytes()?).ok_or_else(|| DecodeError::message("a byte string of another length"))
    }
}

/// Values of fixed length, one after another in one byte string.
pub(super) mod fixed_list {
    use minicbor::{
        decode::Error as DecodeError,
        encode::{Error, Write},
    };

    use super::{Decoder, Encoder, Fixed};

    pub(in crate::vault) fn encode<C, T: Fixed, W: Write>(
        values: &[T],
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Error<W::Error>> {
        encoder.bytes(&values.iter().flat_map(|value| value.bytes()).copied().collect::<Vec<u8>>())?.ok()
    }

    pub(in crate::vault) fn decode<C, T: Fixed>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Vec<T>, DecodeError> {
        let mut pieces = decoder.bytes()?.chunks_exact(T::BYTES);
        let values = pieces.by_ref().map(T::from_bytes).collect::<Option<Vec<T>>>();
        match values {
            Some(values) if pieces.remainder().is_empty() => Ok(values),
            _ => Err(DecodeError::message("a byte string that is no whole number of values")),
        }
    }
}

impl<C> minicbor::Encode<C> for FileName {
    fn encode<W: encode::Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.str(self.as_str())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for FileName {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        match decoder.str()? {
            name if name.len() > MAX_NAME_BYTES => Err(decode::Error::message("a name over its limit")),
            name => Ok(Self::accepted(name)),
        }
    }
}

impl<C> minicbor::Encode<C> for MediaType {
    fn encode<W: encode::Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.str(self.as_str())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for MediaType {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Ok(Self::accepted(decoder.str()?))
    }
}

impl<C> minicbor::Encode<C> for Salts {
    fn encode<W: encode::Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.bytes(self.as_slice().as_flattened())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Salts {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        Self::new(&fixed_list::decode(decoder, context)?).ok_or_else(|| decode::Error::message("a blob without parts"))
    }
}

/// The exponent of a blob's part size.
pub(super) mod geometry {
    use minicbor::{
        decode::Error as DecodeError,
        encode::{Error, Write},
    };

    use super::{Decoder, Encoder, Geometry};

    pub(in crate::vault) fn encode<C, W: Write>(
        value: &Geometry,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Error<W::Error>> {
        encoder.u8(value.k())?.ok()
    }

    pub(in crate::vault) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Geometry, DecodeError> {
        Geometry::from_k(decoder.u8()?).ok_or_else(|| DecodeError::message("a part size that does not exist"))
    }
}
