use std::sync::Arc;

use axum::response::IntoResponse;
use http::header::RETRY_AFTER;

use super::*;

/// Status, code, and whether to try again.
fn told(failure: CommandError) -> (u16, String, bool) {
    let problem = Problem::from(failure);
    let (status, code) = (problem.status().as_u16(), problem.code().to_owned());
    (status, code, problem.into_response().headers().contains_key(RETRY_AFTER))
}

#[test]
fn load_and_faults_are_told_apart() {
    let again = |status, code: &str| (status, code.to_owned(), true);
    let never = |status, code: &str| (status, code.to_owned(), false);
    assert_eq!(told(AppendError::Overloaded.into()), again(503, "overloaded"));
    assert_eq!(told(AppendError::ShuttingDown.into()), again(503, "unavailable"));
    assert_eq!(told(AppendError::Unavailable(Arc::new(sqlx::Error::PoolClosed)).into()), again(503, "unavailable"));
    assert_eq!(told(sqlx::Error::PoolTimedOut.into()), again(503, "unavailable"));
    assert_eq!(told(CommandError::Contended), again(409, "concurrent-change"));
    assert_eq!(told(CommandError::InFlight), again(409, "request-in-flight"));
    assert_eq!(told(AppendError::Version { actual: 3 }.into()), again(409, "concurrent-change"));
    assert_eq!(told(AppendError::ReceiptMismatch.into()), never(422, "idempotency-key-reused"));
    assert_eq!(told(AppendError::Invalid("too large".to_owned()).into()), never(500, "internal"));
    assert_eq!(told(CommandError::claim("source_name", "ads")), never(500, "internal"));
    assert_eq!(told(CommandError::BadReceipt { key: "k".to_owned() }), never(500, "internal"));
    assert_eq!(told(CommandError::NotFound), never(404, "not-found"));
    assert_eq!(told(CommandError::VersionMismatch { actual: 3 }), never(412, "version-mismatch"));
}
