//! Making and opening a vault.

use std::path::Path;

use coffer::log::bootstrap::{BootstrapError, Ground, Location, open_vault};

use super::*;

struct Place {
    store: Store,
    redis: Redis,
    location: Location,
    clock: Clock,
}

impl Place {
    fn of(world: &World, prefix: &str) -> Self {
        let config = world.bucket.config(world.bucket.url(), prefix);
        let redis = RedisConfig { url: Secret::new(world.redis.url().to_owned()), timeout_ms: 5_000 };
        let (store, redis) = (Store::new(&config, None), Redis::new(&redis).unwrap());
        Self { store, redis, location: Location::new(&config), clock: world.clock.clone() }
    }

    async fn open(&self, ring: &KeyRing, state_dir: Option<&Path>) -> Result<VaultKeys, BootstrapError> {
        let Self { store, redis, location, clock } = self;
        open_vault(&Ground { store, redis, ring, location: *location, state_dir, clock }).await
    }
}

fn ring(name: &str) -> KeyRing {
    KeyRing::new(vec![RootKey::new(name.to_owned(), &random::bytes())]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_is_made_once_and_found_again_by_everyone() {
    let world = World::start().await;
    let (here, there) = (Place::of(&world, "a/"), Place::of(&world, "b/"));
    let ring = ring("one");
    let (first, second) = tokio::join!(here.open(&ring, None), here.open(&ring, None));
    let vault_id = first.unwrap().vault_id();
    assert_eq!(second.unwrap().vault_id(), vault_id);
    assert_eq!(here.open(&ring, None).await.unwrap().vault_id(), vault_id);
    assert_ne!(there.open(&ring, None).await.unwrap().vault_id(), vault_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_fails_by_name_and_makes_nothing() {
    let world = World::start().await;
    let place = Place::of(&world, "");
    let (right, wrong) = (ring("right"), ring("wrong"));
    place.open(&right, None).await.unwrap();
    let before = place.store.get("vault", 4096).await.unwrap();
    let error = place.open(&wrong, None).await.err().unwrap();
    assert!(matches!(error, BootstrapError::WrongKey { .. }));
    assert!(error.to_string().contains("wrong"), "{error}");
    assert_eq!(place.store.get("vault", 4096).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_changed_byte_of_the_descriptor_is_refused() {
    let world = World::start().await;
    let place = Place::of(&world, "");
    let ring = ring("one");
    place.open(&ring, None).await.unwrap();
    let whole = place.store.get("vault", 4096).await.unwrap();
    for position in 0..whole.len() {
        let mut changed = whole.to_vec();
        changed[position] ^= 1;
        place.store.put("vault", changed.into()).await.unwrap();
        let error = place.open(&ring, None).await.err().unwrap();
        assert!(matches!(error, BootstrapError::Damaged | BootstrapError::WrongKey { .. }), "{position}: {error}");
    }
    place.store.put("vault", whole).await.unwrap();
    place.open(&ring, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_descriptor_beside_anything_is_a_refusal_and_never_a_new_vault() {
    let world = World::start().await;
    for (number, beside) in ["writer/x", "log/catalog/x", "checkpoint/catalog/x", "blob/x"].into_iter().enumerate() {
        let place = Place::of(&world, &format!("{number}/"));
        place.store.put(beside, "x".into()).await.unwrap();
        let error = place.open(&ring("new"), None).await.err().unwrap();
        assert!(matches!(error, BootstrapError::Missing(_)), "{beside}: {error}");
        assert!(place.store.head("vault").await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_redis_or_state_dir_remembers_gets_no_new_vault() {
    let mut world = World::start().await;
    let place = Place::of(&world, "");
    let ring = ring("one");
    place.open(&ring, None).await.unwrap();
    place.store.delete("vault").await.unwrap();
    assert!(matches!(place.open(&ring, None).await, Err(BootstrapError::Missing(_))));
    world.redis.flush_all().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("0-catalog.anchor"), "x").unwrap();
    assert!(matches!(place.open(&ring, Some(folder.path())).await, Err(BootstrapError::Missing(_))));
    std::fs::remove_file(folder.path().join("0-catalog.anchor")).unwrap();
    place.open(&ring, Some(folder.path())).await.unwrap();
}
