//! Bounded repetition with jitter. It remembers what the SDK's own retries forget: once an attempt to write had no
//! clear answer, a later refusal doesn't prove that nothing was written.

use std::time::Duration;

use super::StoreError;

/// Attempts of one request, the first included.
pub(super) const ATTEMPTS: u32 = 4;
/// Upper bound of the first pause; it doubles for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Upper bound of any pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Repeats a request that changes nothing until it has a definite answer or [`ATTEMPTS`] are spent.
pub(super) async fn read<T, F>(attempt: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for number in 1..ATTEMPTS {
        match attempt().await {
            Err(StoreError::Unavailable { .. }) => pause(number).await,
            answer => return answer,
        }
    }
    attempt().await
}

/// Repeats a write that may be done twice without harm. The error is definite only when every attempt was refused
/// with certainty.
pub(super) async fn write<T, F>(attempt: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut is_open = false;
    for number in 1..=ATTEMPTS {
        match attempt().await {
            Err(StoreError::Unavailable { .. }) if number < ATTEMPTS => {
                is_open = true;
                pause(number).await;
            }
            Err(error) if is_open && error.is_definite() => {
                return Err(StoreError::unavailable("refused, but an earlier attempt may have been done"));
            }
            answer => return answer,
        }
    }
    unreachable!("the last attempt returns its answer")
}

async fn pause(number: u32) {
    let longest = FIRST_PAUSE.saturating_mul(1 << (number - 1).min(16)).min(LONGEST_PAUSE);
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn away() -> StoreError {
        StoreError::unavailable("test")
    }

    fn refused() -> StoreError {
        StoreError::never_sent("Test")
    }

    async fn run(
        answers: Vec<Result<(), StoreError>>,
        write_it: impl AsyncFn(&dyn Fn() -> Result<(), StoreError>) -> Result<(), StoreError>,
    ) -> (Result<(), StoreError>, usize) {
        let left = RefCell::new(answers);
        let next = || left.borrow_mut().remove(0);
        let answer = write_it(&next).await;
        let unused = left.borrow().len();
        (answer, unused)
    }

    #[tokio::test]
    async fn a_temporary_failure_is_repeated_until_an_answer_or_the_last_attempt() {
        let writes = async |next: &dyn Fn() -> _| write(|| async { next() }).await;
        let reads = async |next: &dyn Fn() -> _| read(|| async { next() }).await;
        assert_eq!(run(vec![Err(away()), Err(away()), Err(away()), Ok(())], writes).await, (Ok(()), 0));
        assert_eq!(run(vec![Err(away()), Err(away()), Err(away()), Ok(())], reads).await, (Ok(()), 0));
        let endless = || vec![Err(away()); 5];
        assert_eq!(run(endless(), writes).await, (Err(away()), 1));
        assert_eq!(run(endless(), reads).await, (Err(away()), 1));
    }

    #[tokio::test]
    async fn a_refusal_of_a_write_is_definite_only_when_no_attempt_is_open() {
        let writes = async |next: &dyn Fn() -> _| write(|| async { next() }).await;
        let reads = async |next: &dyn Fn() -> _| read(|| async { next() }).await;
        assert_eq!(run(vec![Err(refused())], writes).await, (Err(refused()), 0));
        let (answer, _) = run(vec![Err(away()), Err(refused())], writes).await;
        assert!(!answer.expect_err("refused").is_definite());
        assert_eq!(run(vec![Err(away()), Err(refused())], reads).await, (Err(refused()), 0));
    }
}
