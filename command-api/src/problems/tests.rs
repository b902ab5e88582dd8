use std::sync::Arc;

use domain::campaign::CampaignError;
use domain::source::SourceError;
use event_store::AppendError;
use http::header::RETRY_AFTER;

use super::*;

fn problem_of(error: CommandError) -> Problem {
    RouteError::from(error).into()
}

/// Status, code, and whether to try again.
fn told(failure: CommandError) -> (u16, String, bool) {
    let problem = problem_of(failure);
    let (status, code) = (problem.status().as_u16(), problem.code().to_owned());
    (status, code, problem.into_response().headers().contains_key(RETRY_AFTER))
}

#[test]
fn errors_map_to_status_code_and_retry() {
    let again = |status, code: &str| (status, code.to_owned(), true);
    let never = |status, code: &str| (status, code.to_owned(), false);
    assert_eq!(told(AppendError::Overloaded.into()), again(503, "overloaded"));
    assert_eq!(told(AppendError::ShuttingDown.into()), again(503, "unavailable"));
    assert_eq!(told(AppendError::Unavailable(Arc::new(sqlx::Error::PoolClosed)).into()), again(503, "unavailable"));
    assert_eq!(told(AppendError::Unconfirmed.into()), again(503, "outcome-unknown"));
    assert_eq!(told(sqlx::Error::PoolTimedOut.into()), again(503, "unavailable"));
    assert_eq!(told(CommandError::Contended), again(409, "concurrent-change"));
    assert_eq!(told(CommandError::InFlight), again(409, "request-in-flight"));
    assert_eq!(told(AppendError::Version { actual: 3 }.into()), again(409, "concurrent-change"));
    assert_eq!(told(AppendError::ReceiptMismatch.into()), never(422, "idempotency-key-reused"));
    assert_eq!(told(AppendError::Invalid("too large".to_owned()).into()), never(500, "internal"));
    assert_eq!(told(CommandError::BadClaim { kind: "source_name", key: "ads".to_owned() }), never(500, "internal"));
    assert_eq!(told(CommandError::BadReceipt { key: "k".to_owned() }), never(500, "internal"));
    assert_eq!(told(CommandError::NotFound), never(404, "not-found"));
    assert_eq!(told(CommandError::VersionMismatch { actual: 3 }), never(412, "version-mismatch"));
}

#[test]
fn every_rule_of_the_domain_has_a_problem_type() {
    for code in CampaignError::CODES.iter().chain(SourceError::CODES) {
        assert_eq!(rules::of_code(code).code, *code);
    }
}

#[test]
fn replayed_rejection_is_marked() {
    let rejection = |code: &str| DomainRejection {
        code: code.to_owned(),
        detail: "the name is empty".to_owned(),
        field: Some("name".to_owned()),
    };
    let first = problem_of(CommandError::Rejected { rejection: rejection("invalid-name"), replayed: false });
    assert_eq!((first.status().as_u16(), first.code(), first.errors().len()), (422, "invalid-name", 1));
    assert!(!first.into_response().headers().contains_key(IDEMPOTENCY_REPLAYED));
    let again = problem_of(CommandError::Rejected { rejection: rejection("a-rule-of-old"), replayed: true });
    assert_eq!(again.code(), "a-rule-of-old");
    assert_eq!(again.into_response().headers()[IDEMPOTENCY_REPLAYED], "true");
}
