//! The campaign aggregate: a plan of channels, days and budget, with its lifecycle.
//!
//! ```text
//! draft --launch--> launched --pause--> paused        draft     --archive--> archived
//!                            <-resume--               paused    --archive--> archived
//!                   launched --complete--> completed  completed --archive--> archived
//!                   paused   --complete--> completed   archived --unarchive--> what it was before
//! ```
//!
//! A launched campaign is shown as scheduled until its first day begins in its zone, and as active from then on.
//!
//! 1. It is created once, as a draft or at once launched or completed, as history brings it; no other command is
//!    accepted before.
//! 2. Its name is one line of 1 to 200 characters; surrounding white space is removed.
//! 3. Its channels are distinct, 20 at most; a launched one has at least one.
//! 4. Its days lie in 1970 to 2199, the last not before the first.
//! 5. Only a draft is launched, and not after its last day (unless it is over with its creation); a second
//!    launch is rejected, not ignored.
//! 6. Only a launched one is paused, only a paused one resumed; either can be completed.
//! 7. All but a launched one can be archived. An archived one takes no command but the one that brings it back, into
//!    the state that it had before.
//! 8. Since its launch its currency and zone are fixed; since its first day has begun, so is that day.
//! 9. Its budget, for all of its days or for each of them, is more than 0 and in its currency; at its completion it is
//!    fixed, like its channels and days. Name, external ids and attributes can still change, because late data and
//!    tidying come afterwards.
//! 10. External ids are distinct per source, 50 at most; attributes 50 at most, with keys like `region` or `team_2`.
//! 11. An edit is accepted as a whole or not at all. It gives one event for each concern that it actually changes.

mod budget;
mod command;
mod cqrs_es;
mod decide;
mod error;
mod event;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod version;

pub use budget::{Budget, BudgetPeriod, BudgetPeriodError};
pub use command::{CampaignCommand, CampaignEdit, InitialState};
pub use decide::{check_external_id, check_name, decide};
pub use error::CampaignError;
pub use event::{CampaignEvent, ExternalId};
pub use state::{Campaign, CampaignDetails};
pub use status::{CampaignState, CampaignStatus, CampaignStatusError, ends_at, starts_at, status};
pub use version::{CampaignVersion, CampaignVersionError};

pub use crate::catalogue::CAMPAIGN_STREAM as STREAM_TYPE;
