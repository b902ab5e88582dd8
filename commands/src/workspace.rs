//! Commands on the workspace itself.

use domain::bucket::FiscalCalendar;
use domain::workspace::{WorkspaceCommand, WorkspaceError, decide};
use event_store::CommitContext;

use crate::Commands;
use crate::append::{Attempts, settle};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::outcome::{Completed, Outcome};

impl Commands {
    /// Sets the calendar of the workspace.
    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), correlation_id = context.correlation_id)
    )]
    pub async fn set_calendar(
        &self,
        context: &CommandContext,
        calendar: FiscalCalendar,
    ) -> Result<Completed<()>, CommandError> {
        let stream_id = format!("{}/workspace", context.workspace());
        let mut attempts = Attempts::begin(self, context)?;
        let result = loop {
            let attempt = attempts.next().await?;
            if let Some(result) = attempt.previous_result().await? {
                break result;
            }
            let loaded = self.workspaces.load(&stream_id).await?;
            let command = WorkspaceCommand::SetCalendar { calendar, at: context.received_at };
            let events = decide(&loaded.aggregate, &command).map_err(|error| match error {
                WorkspaceError::NotOpened => CommandError::NotFound,
            })?;
            let commit = CommitContext {
                metadata: context.metadata(),
                claims: Vec::new(),
                receipt: context.receipt(&Outcome::CalendarSet)?,
                recorded_at: self.clock.now(),
            };
            let appended = self.workspaces.append(&loaded, &events, commit).await;
            if let Some(result) = settle(self, context, Outcome::CalendarSet, appended).await? {
                break result;
            }
        };
        result.complete(context.key(), |outcome| matches!(outcome, Outcome::CalendarSet).then_some(()))
    }
}
