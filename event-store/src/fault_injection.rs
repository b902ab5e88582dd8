//! Faults planted on purpose, so that the checker of the system tests can be seen to find them. Compiled only with the
//! feature `planted-faults`, which nothing but those tests asks for, and at work only in an
//! [`Appender`](crate::Appender) that was told so.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgPool;

use crate::append::{AppendRequest, Item, Payload};
use crate::error::AppendError;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A request is acknowledged, and its events are not written.
    LostEvent,
    /// An item is written twice.
    DoubleCount,
    /// A position is left out.
    Gap,
    /// What is kept of one answer is what was kept of the one before.
    StaleReceipt,
}

/// What goes wrong, and from when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// What.
    pub fault: Fault,
    /// How many of the requests that it can happen to are spared.
    pub after: u32,
}

/// A planted fault, waiting for its requests.
#[derive(Clone)]
pub(crate) struct FaultInjector {
    planted: FaultPlan,
    pool: PgPool,
    seen: Arc<Mutex<InjectorState>>,
}

#[derive(Default)]
struct InjectorState {
    fitting: u32,
    response: Option<String>,
}

impl FaultInjector {
    pub(crate) fn new(planted: FaultPlan, pool: PgPool) -> Self {
        Self { planted, pool, seen: Arc::default() }
    }

    /// Makes the fault happen to a request that is about to be appended, if it is one of those that it happens to.
    /// Gives the number of events that were taken out of it, which its answer pretends were written.
    pub(crate) async fn tamper(&self, request: &mut AppendRequest) -> Result<i64, AppendError> {
        let earlier = self.earlier_response(request);
        if !self.strikes(request) {
            return Ok(0);
        }
        match self.planted.fault {
            Fault::LostEvent => {
                let lost = i64::try_from(request.events.len()).unwrap_or_default();
                request.events.clear();
                // What rests on the lost items must not give them away.
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

    /// Whether the fault happens to this request.
    fn strikes(&self, request: &AppendRequest) -> bool {
        let writes_items = request.events.iter().any(|event| matches!(event.payload, Payload::Items { .. }));
        let fits = match self.planted.fault {
            Fault::LostEvent | Fault::DoubleCount => writes_items,
            Fault::Gap => !request.events.is_empty(),
            Fault::StaleReceipt => request.receipt.is_some() && writes_items,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.fitting += u32::from(fits);
        fits && seen.fitting > self.planted.after
    }

    /// What was kept of the last batch of items, whose place that of this one takes.
    fn earlier_response(&self, request: &AppendRequest) -> Option<String> {
        let receipt = request.receipt.as_ref()?;
        let writes_items = request.events.iter().any(|event| matches!(event.payload, Payload::Items { .. }));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if writes_items { seen.response.replace(receipt.response.clone()) } else { None }
    }
}
