//! Commands on the workspace itself.

use domain::bucket::FiscalCalendar;
use domain::money::MoneyLimit;
use domain::workspace::{WorkspaceCommand, WorkspaceError, decide};
use event_store::CommitContext;

use crate::Commands;
use crate::append::{Attempts, settle};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::outcome::{Completed, Outcome};

impl Commands {
    /// Sets the calendar of the workspace.
    pub async fn set_calendar(
        &self,
        context: &CommandContext,
        calendar: FiscalCalendar,
    ) -> Result<Completed<()>, CommandError> {
        let command = WorkspaceCommand::SetCalendar { calendar, at: context.received_at };
        self.change_workspace(context, &command, Outcome::CalendarSet).await
    }

    /// Sets the most that one amount of money of the workspace may be, or removes the limit.
    pub async fn set_money_limit(
        &self,
        context: &CommandContext,
        limit: Option<MoneyLimit>,
    ) -> Result<Completed<()>, CommandError> {
        let command = WorkspaceCommand::SetMoneyLimit { limit, at: context.received_at };
        self.change_workspace(context, &command, Outcome::MoneyLimitSet).await
    }

    /// The money limit that these amounts, in micros, have to keep. `None` if every limit lets all of them in, which
    /// needs no lookup, or if the workspace has none.
    pub(crate) async fn money_limit(
        &self,
        context: &CommandContext,
        mut amounts: impl Iterator<Item = i64>,
    ) -> Result<Option<MoneyLimit>, CommandError> {
        if amounts.all(|micros| MoneyLimit::LEAST.holds(micros)) {
            return Ok(None);
        }
        let loaded = self.workspaces.load(&stream_of(context)).await?;
        // The domain sets no limit out of range.
        Ok(loaded.aggregate.limit_micros.and_then(|micros| MoneyLimit::from_micros(micros).ok()))
    }

    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), correlation_id = context.correlation_id)
    )]
    async fn change_workspace(
        &self,
        context: &CommandContext,
        command: &WorkspaceCommand,
        changed: Outcome,
    ) -> Result<Completed<()>, CommandError> {
        let stream_id = stream_of(context);
        let mut attempts = Attempts::begin(self, context)?;
        let result = loop {
            let attempt = attempts.next().await?;
            if let Some(result) = attempt.previous_result().await? {
                break result;
            }
            let loaded = self.workspaces.load(&stream_id).await?;
            let events = decide(&loaded.aggregate, command).map_err(|error| match error {
                WorkspaceError::NotOpened => CommandError::NotFound,
            })?;
            let commit = CommitContext {
                metadata: context.metadata(),
                claims: Vec::new(),
                receipt: context.receipt(&changed)?,
                recorded_at: self.clock.now(),
            };
            let appended = self.workspaces.append(&loaded, &events, commit).await;
            if let Some(result) = settle(self, context, changed.clone(), appended).await? {
                break result;
            }
        };
        result.complete(context.key(), |outcome| (outcome == changed).then_some(()))
    }
}

/// The stream of the workspace's own events.
pub(crate) fn stream_of(context: &CommandContext) -> String {
    format!("{}/workspace", context.workspace())
}
