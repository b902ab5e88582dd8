//! Injection of faults, by which the system tests prove that their checker detects them. It is compiled only with the
//! feature `fault-injection`, which only those tests enable. It takes effect only in an [`Appender`](crate::Appender)
//! whose configuration has a [`FaultPlan`].

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgPool;

use crate::append::{AppendRequest, Item, Payload};
use crate::error::AppendError;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A request is acknowledged, and its events are not written.
    LostEvent,
    /// An item is written twice.
    DoubleCount,
    /// A position is left out.
    Gap,
    /// A receipt keeps the response of the request before it.
    StaleReceipt,
}

/// The fault to inject, and the number of requests before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// The kind of fault.
    pub fault: Fault,
    /// The number of applicable requests that are left intact first.
    pub after: u32,
}

/// Injects the fault of a plan into the requests of one appender.
#[derive(Clone)]
pub(crate) struct FaultInjector {
    plan: FaultPlan,
    pool: PgPool,
    seen: Arc<Mutex<InjectorState>>,
}

#[derive(Default)]
struct InjectorState {
    applicable: u32,
    response: Option<String>,
}

impl FaultInjector {
    pub(crate) fn new(plan: FaultPlan, pool: PgPool) -> Self {
        Self { plan, pool, seen: Arc::default() }
    }

    /// Injects the fault into a request before it is appended, if the plan covers the request. Returns the number of
    /// events that were removed. The appender adds them to the outcome, as if they had been written.
    pub(crate) async fn tamper(&self, request: &mut AppendRequest) -> Result<i64, AppendError> {
        let earlier = self.earlier_response(request);
        if !self.is_covered(request) {
            return Ok(0);
        }
        match self.plan.fault {
            Fault::LostEvent => {
                let lost = i64::try_from(request.events.len()).unwrap_or_default();
                request.events.clear();
                // A precondition on the lost items would reveal the loss.
                request.item_preconditions.clear();
                return Ok(lost);
            }
            Fault::DoubleCount => {
                for event in &mut request.events {
                    if let Payload::Items { items, .. } = &mut event.payload {
                        let again = items.last().map(|item| Item { key: None, ..item.clone() });
                        items.extend(again);
                    }
                }
            }
            Fault::Gap => {
                sqlx::query("UPDATE log.heads SET position = position + 1 WHERE workspace = $1")
                    .bind(request.workspace)
                    .execute(&self.pool)
                    .await
                    .map_err(|error| AppendError::Unavailable(Arc::new(error)))?;
            }
            Fault::StaleReceipt => {
                if let (Some(receipt), Some(earlier)) = (&mut request.receipt, earlier) {
                    receipt.response = earlier;
                }
            }
        }
        Ok(0)
    }

    /// Whether the plan covers this request.
    fn is_covered(&self, request: &AppendRequest) -> bool {
        let writes_items = request.events.iter().any(|event| matches!(event.payload, Payload::Items { .. }));
        let applies = match self.plan.fault {
            Fault::LostEvent | Fault::DoubleCount => writes_items,
            Fault::Gap => !request.events.is_empty(),
            Fault::StaleReceipt => request.receipt.is_some() && writes_items,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.applicable += u32::from(applies);
        applies && seen.applicable > self.plan.after
    }

    /// The response of the previous batch of items. The response of this request replaces it in the state.
    fn earlier_response(&self, request: &AppendRequest) -> Option<String> {
        let receipt = request.receipt.as_ref()?;
        let writes_items = request.events.iter().any(|event| matches!(event.payload, Payload::Items { .. }));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if writes_items { seen.response.replace(receipt.response.clone()) } else { None }
    }
}
