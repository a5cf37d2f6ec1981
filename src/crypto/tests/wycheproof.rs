//! Project Wycheproof's vectors against the primitives as they are used here, and against our Cobblestone-256.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use hkdf::Hkdf;
use sha2::{Digest, Sha512};
use wycheproof::{TestResult, aead, chunked_encryption, hkdf as kdf};
use zeroize::Zeroizing;

use crate::OpenError;
use crate::cobblestone::{CHUNK_SEALED, Message, PART_HEADER, SALT};
use crate::record::{open_after, seal_after};

#[test]
fn aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut count = 0;
    let ours = |group: &&aead::TestGroup| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128);
    for test in set.test_groups.iter().filter(ours).flat_map(|group| &group.tests) {
        let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
        let nonce: [u8; 12] = test.nonce.as_slice().try_into().unwrap();
        let tag: [u8; 16] = test.tag.as_slice().try_into().unwrap();
        let mut text = test.ct.to_vec();
        let opened =
            cipher.decrypt_inout_detached((&nonce).into(), &test.aad, text.as_mut_slice().into(), &Tag::from(tag));
        assert_eq!(opened.is_ok(), test.result == TestResult::Valid, "case {}", test.tc_id);
        if opened.is_ok() {
            assert_eq!(text, test.pt.as_slice(), "case {}", test.tc_id);
            let sealed = cipher.encrypt_inout_detached((&nonce).into(), &test.aad, text.as_mut_slice().into()).unwrap();
            assert_eq!((text.as_slice(), sealed.as_slice()), (test.ct.as_slice(), tag.as_slice()));
        } else {
            assert_eq!(text, test.ct.as_slice(), "case {}: plaintext was left behind", test.tc_id);
        }
        count += 1;
    }
    assert!(count > 60, "{count}");
}

#[test]
fn xchacha20_poly1305() {
    let set = aead::TestSet::load(aead::TestName::XChaCha20Poly1305).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = Zeroizing::new(test.key.as_slice().try_into().unwrap());
        let sealed = [test.nonce.as_slice(), &test.ct, &test.tag].concat();
        let Ok(nonce) = test.nonce.as_slice().try_into() else {
            assert_eq!(test.result, TestResult::Invalid);
            continue;
        };
        let opened = open_after(0, &key, &test.aad, &sealed);
        assert_eq!(opened.is_ok(), test.result == TestResult::Valid, "case {}", test.tc_id);
        if let Ok(opened) = opened {
            assert_eq!(opened.as_slice(), test.pt.as_slice());
            assert_eq!(seal_after(&[], &key, nonce, &test.aad, &test.pt), sealed);
        }
        count += 1;
    }
    assert!(count > 200, "{count}");
}

#[test]
fn hkdf_sha_512() {
    let set = kdf::TestSet::load(kdf::TestName::HkdfSha512).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut okm = vec![0; test.size];
        let expanded = Hkdf::<Sha512>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm);
        assert_eq!(expanded.is_ok(), test.result == TestResult::Valid, "case {}", test.tc_id);
        if expanded.is_ok() {
            assert_eq!(okm, test.okm.as_slice(), "case {}", test.tc_id);
        }
    }
}

/// Opens a message the way a stream does: chunk by chunk, giving out what has verified until something has not.
fn open_stream(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> (Vec<u8>, Result<(), OpenError>) {
    let mut out = Vec::new();
    let mut open = || {
        let (header, body) = sealed.split_at_checked(PART_HEADER).ok_or(OpenError::Refused)?;
        let salt = header[..SALT].try_into().unwrap();
        let message = Message::derive(key, &salt, context);
        message.check_header(header)?;
        let (full, last) = body.as_chunks::<CHUNK_SEALED>();
        for (index, chunk) in full.iter().map(<[u8; CHUNK_SEALED]>::as_slice).chain([last]).enumerate() {
            let mut chunk = chunk.to_vec();
            let opened = message.open_chunk(index as u64, &mut chunk)?;
            out.extend_from_slice(&chunk[..opened]);
        }
        Ok(())
    };
    let result = open();
    (out, result)
}

#[test]
fn cobblestone_256() {
    let set = chunked_encryption::TestSet::load(chunked_encryption::TestName::Cobblestone256).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let name = format!("case {}: {}", test.tc_id, test.comment);
        count += 1;
        let Ok(key) = test.key.as_slice().try_into() else {
            assert_eq!(test.result, TestResult::Invalid, "{name}");
            continue;
        };
        let sealed = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).unwrap();
        let (streamed, result) = open_stream(&key, &test.ctx, &sealed);
        assert_eq!(result.is_ok(), test.result == TestResult::Valid, "{name}");
        let whole = sealed
            .get(..SALT)
            .ok_or(OpenError::Refused)
            .and_then(|salt| Message::derive(&key, &salt.try_into().unwrap(), &test.ctx).open(&sealed));
        assert_eq!(whole.is_ok(), result.is_ok(), "{name}");
        assert!(streamed.len() <= test.msg_length.unwrap_or(0), "{name}");
        let Ok(whole) = whole else { continue };
        assert_eq!(*whole, streamed, "{name}");
        assert_eq!(Some(streamed.len()), test.msg_length, "{name}");
        assert_eq!(Sha512::digest(&streamed).as_slice(), test.msg_sha512.as_ref().unwrap().as_slice(), "{name}");
        let mut again = Vec::new();
        Message::derive(&key, sealed.first_chunk().unwrap(), &test.ctx).seal(&streamed, &mut again);
        assert!(again == sealed, "{name}");
    }
    assert_eq!(count, 35);
}
