//! `coffer mfa reset`: the way back from the console.

use super::{enrol_app, enrol_passkey, half_login, is_alive};
use crate::kit::coffer::Coffer;

#[tokio::test]
async fn a_reset_from_the_console_works_while_the_vault_runs_and_while_it_does_not() {
    let mut coffer = Coffer::start().await;
    let kept = coffer.log_in().await.upload("root", "kept", "content").await;
    let (_, login) = enrol_app(&coffer.log_in().await).await;
    let (_, login) = enrol_passkey(&coffer, &login).await;
    assert_eq!(half_login(&coffer).await.1, "mfa_required");

    let output = coffer.verb(&["mfa", "reset"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("No second factor is left"));
    coffer.wait_until_ready().await;
    assert!(!is_alive(&login).await, "every session is over");
    let (login, state) = half_login(&coffer).await;
    assert_eq!(state, "active");
    assert_eq!(login.download(kept["id"].as_str().unwrap()).await, b"content", "nothing else is changed");

    enrol_app(&login).await;
    assert!(coffer.stop());
    let output = coffer.verb(&["mfa", "reset"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    coffer.launch();
    coffer.wait_until_ready().await;
    assert_eq!(half_login(&coffer).await.1, "active");
}
