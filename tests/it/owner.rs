//! The owner's password: equal work for every answer, and bounded work for any number of questions.

use coffer::config::{OwnerConfig, Password, Secret};
use coffer::owner::{Busy, MAX_EMAIL_BYTES, MAX_PASSWORD_BYTES, Owner, hash_password};

const EMAIL: &str = "Owner@Example.org";
const PASSWORD: &str = "correct horse battery staple";

fn owner(argon2_jobs: usize) -> Owner {
    let password = Password::Plain(Secret::new(PASSWORD.into()));
    Owner::new(&OwnerConfig { email: EMAIL.into(), password, argon2_jobs }).unwrap()
}

#[tokio::test]
async fn only_the_owners_address_and_password_together_are_right() {
    let phc = Password::Phc(Secret::new(hash_password(PASSWORD).unwrap()));
    let by_hash = Owner::new(&OwnerConfig { email: EMAIL.into(), password: phc, argon2_jobs: 1 }).unwrap();
    for owner in [owner(1), by_hash] {
        let cases = [
            (EMAIL, PASSWORD, true),
            ("owner@example.org", PASSWORD, true),
            ("OWNER@EXAMPLE.ORG", PASSWORD, true),
            (EMAIL, "wrong", false),
            (EMAIL, "", false),
            ("other@example.org", PASSWORD, false),
            ("owner@example.org ", PASSWORD, false),
            ("", PASSWORD, false),
            ("", "", false),
        ];
        for (number, (email, password, right)) in cases.into_iter().enumerate() {
            assert_eq!(owner.verify(email, password).await, Ok(right), "{email:?} {password:?}");
            assert_eq!(owner.checks(), number as u64 + 1, "each answer costs one computation: {email:?} {password:?}");
        }
    }
}

#[tokio::test]
async fn what_is_longer_than_a_password_can_be_is_not_hashed() {
    let owner = owner(1);
    let (email, password) = ("e".repeat(MAX_EMAIL_BYTES), "p".repeat(MAX_PASSWORD_BYTES));
    assert_eq!(owner.verify(&email, &password).await, Ok(false));
    assert_eq!(owner.checks(), 1, "at the limits");
    assert_eq!(owner.verify(&email, &format!("{password}p")).await, Ok(false));
    assert_eq!(owner.verify(&format!("{email}e"), &password).await, Ok(false));
    assert_eq!(owner.checks(), 1, "one past either");
}

#[tokio::test]
async fn of_very_many_checks_at_once_a_bounded_number_is_made() {
    let owner = owner(1);
    let checks = (0..200).map(|_| {
        let owner = owner.clone();
        tokio::spawn(async move { owner.verify(EMAIL, "wrong").await })
    });
    let (mut answered, mut refused) = (0, 0);
    for check in checks.collect::<Vec<_>>() {
        match check.await.unwrap() {
            Ok(right) => {
                assert!(!right);
                answered += 1;
            }
            Err(Busy) => refused += 1,
        }
    }
    assert_eq!(answered + refused, 200);
    // One runs and eight wait; on a busy machine one may end before the last question is asked.
    assert!((9..20).contains(&answered), "{answered} of 200 were checked");
    assert_eq!(owner.checks(), answered);
    assert_eq!(owner.verify(EMAIL, PASSWORD).await, Ok(true), "the owner is let in again afterwards");
}

#[test]
fn the_owner_does_not_print_its_secrets() {
    assert_eq!(format!("{:?}", owner(1)), "Owner");
}
