//! A workspace's own events: the first of every log, and the changes of its settings.

use chrono::{DateTime, Utc};
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bucket::FiscalCalendar;
use crate::catalogue::{self, EventType};
use crate::money::{Currency, MoneyLimit};
use crate::zone::Zone;

pub use crate::catalogue::WORKSPACE_STREAM as STREAM_TYPE;

/// An event of a workspace. Written as its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WorkspaceEvent {
    /// It was opened.
    Opened(WorkspaceOpened),
    /// Its calendar was set.
    CalendarSet(WorkspaceCalendarSet),
    /// The limit of its amounts of money was set.
    MoneyLimitSet(WorkspaceMoneyLimitSet),
}

/// A workspace was opened, with its defaults: the first event of every log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WorkspaceOpened {
    /// Its name, unique in the installation.
    pub name: String,
    /// The default time zone of its reports.
    pub time_zone: Zone,
    /// Its reporting currency.
    pub currency: Currency,
}

/// The calendar of a workspace was set: how its reports divide days into weeks, months, quarters and years.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WorkspaceCalendarSet {
    /// The calendar.
    pub calendar: FiscalCalendar,
    /// When the command was received, by our clock.
    pub at: DateTime<Utc>,
}

/// The most that one amount of money of a workspace may be was set. What was recorded before stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WorkspaceMoneyLimitSet {
    /// The limit, in micros of any currency; left out where only the bound of every workspace holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_micros: Option<i64>,
    /// When the command was received, by our clock.
    pub at: DateTime<Utc>,
}

/// A workspace after its events. The default is one that was never opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its calendar, once it was opened.
    pub calendar: Option<FiscalCalendar>,
    /// Its time zone and currency, once it was opened.
    pub defaults: Option<(Zone, Currency)>,
    /// The limit of its amounts of money, in micros, if it has one.
    pub limit_micros: Option<i64>,
}

/// A command to a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkspaceCommand {
    /// Set its calendar.
    SetCalendar {
        /// The calendar.
        calendar: FiscalCalendar,
        /// The time of the command.
        at: DateTime<Utc>,
    },
    /// Set the limit of its amounts of money, or remove it.
    SetMoneyLimit {
        /// The limit.
        limit: Option<MoneyLimit>,
        /// The time of the command.
        at: DateTime<Utc>,
    },
}

/// The error of a command to a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WorkspaceError {
    /// Its first event is missing.
    #[error("the workspace is not opened")]
    NotOpened,
}

/// Decides on a command. No events means that the workspace is already as asked.
pub fn decide(workspace: &Workspace, command: &WorkspaceCommand) -> Result<Vec<WorkspaceEvent>, WorkspaceError> {
    let Some(present) = workspace.calendar else { return Err(WorkspaceError::NotOpened) };
    Ok(match *command {
        WorkspaceCommand::SetCalendar { calendar, at } => {
            let set = WorkspaceEvent::CalendarSet(WorkspaceCalendarSet { calendar, at });
            Vec::from_iter((calendar != present).then_some(set))
        }
        WorkspaceCommand::SetMoneyLimit { limit, at } => {
            let limit_micros = limit.map(MoneyLimit::micros);
            let set = WorkspaceEvent::MoneyLimitSet(WorkspaceMoneyLimitSet { limit_micros, at });
            Vec::from_iter((limit_micros != workspace.limit_micros).then_some(set))
        }
    })
}

impl WorkspaceEvent {
    /// What type of event it is.
    pub fn kind(&self) -> EventType {
        match self {
            Self::Opened(_) => catalogue::WORKSPACE_OPENED,
            Self::CalendarSet(_) => catalogue::WORKSPACE_CALENDAR_SET,
            Self::MoneyLimitSet(_) => catalogue::WORKSPACE_MONEY_LIMIT_SET,
        }
    }
}

impl DomainEvent for WorkspaceEvent {
    fn event_type(&self) -> String {
        self.kind().name.to_owned()
    }

    fn event_version(&self) -> String {
        self.kind().version().to_string()
    }
}

impl Aggregate for Workspace {
    const TYPE: &'static str = STREAM_TYPE;
    type Command = WorkspaceCommand;
    type Event = WorkspaceEvent;
    type Error = WorkspaceError;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        _services: &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in decide(self, &command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        match event {
            WorkspaceEvent::Opened(WorkspaceOpened { time_zone, currency, .. }) => {
                self.calendar = Some(FiscalCalendar::ISO);
                self.defaults = Some((time_zone, currency));
            }
            WorkspaceEvent::CalendarSet(set) => self.calendar = Some(set.calendar),
            WorkspaceEvent::MoneyLimitSet(set) => self.limit_micros = set.limit_micros,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Month, Weekday};
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::bucket::RetailWeeks;

    const RETAIL: FiscalCalendar = FiscalCalendar {
        week_start: Weekday::Sun,
        year_start: Month::February,
        retail_weeks: Some(RetailWeeks::FourFiveFour),
    };

    fn at() -> DateTime<Utc> {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn opened() -> WorkspaceEvent {
        let (time_zone, currency) = (Zone::UTC, "EUR".parse().unwrap());
        WorkspaceEvent::Opened(WorkspaceOpened { name: "acme".to_owned(), time_zone, currency })
    }

    fn set(calendar: FiscalCalendar) -> WorkspaceEvent {
        WorkspaceEvent::CalendarSet(WorkspaceCalendarSet { calendar, at: at() })
    }

    fn set_to(calendar: FiscalCalendar) -> WorkspaceCommand {
        WorkspaceCommand::SetCalendar { calendar, at: at() }
    }

    type Framework = TestFramework<Workspace>;

    #[test]
    fn calendar_is_set_once() {
        Framework::with(()).given(vec![opened()]).when(set_to(RETAIL)).then_expect_events(vec![set(RETAIL)]);
        let before = || vec![opened(), set(RETAIL)];
        Framework::with(()).given(before()).when(set_to(RETAIL)).then_expect_events(Vec::new());
        let iso = FiscalCalendar::ISO;
        Framework::with(()).given(before()).when(set_to(iso)).then_expect_events(vec![set(iso)]);
    }

    #[test]
    fn money_limit_is_set_once_and_removed() {
        let set_to = |limit| WorkspaceCommand::SetMoneyLimit { limit, at: at() };
        let set = |limit_micros| WorkspaceEvent::MoneyLimitSet(WorkspaceMoneyLimitSet { limit_micros, at: at() });
        let limit = MoneyLimit::from_micros(50_000_000_000).unwrap();
        let with = |given| Framework::with(()).given(given);
        with(vec![opened()]).when(set_to(None)).then_expect_events(Vec::new());
        with(vec![opened()]).when(set_to(Some(limit))).then_expect_events(vec![set(Some(50_000_000_000))]);
        let limited = || vec![opened(), set(Some(50_000_000_000))];
        with(limited()).when(set_to(Some(limit))).then_expect_events(Vec::new());
        with(limited()).when(set_to(None)).then_expect_events(vec![set(None)]);
        Framework::with(()).given_no_previous_events().when(set_to(None)).then_expect_error(WorkspaceError::NotOpened);
    }

    #[test]
    fn workspace_begins_with_the_iso_calendar() {
        let iso = FiscalCalendar::ISO;
        Framework::with(()).given(vec![opened()]).when(set_to(iso)).then_expect_events(Vec::new());
        Framework::with(()).given_no_previous_events().when(set_to(iso)).then_expect_error(WorkspaceError::NotOpened);
    }
}
