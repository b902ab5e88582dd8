//! The table of freshness, told over HTTP: each way in which a source can stand, pushing or pulled, at each time of a bucket,
//! with and without something parked. The cells are campaigns of one workspace, each with a source of its own.

use chrono::{DateTime, NaiveTime, SecondsFormat, TimeDelta, Utc};
use domain::bucket::Grain;
use domain::measure::Measure;
use domain::source::SourceKind::{self, Pull, Push};
use domain::source::{Horizon, Horizons};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{
    Given, campaign, clicks, completed, created, definition, failed, registered, source, started, stated,
};
use crate::support::{Reply, World};

const HORIZON_S: i64 = 86_400;
/// The campaigns of which something waits have this number, and those after it.
const PARKED: u128 = 0x80;

/// Minutes from the end of the 20th, whose last hour has numbers.
fn minute(minutes: i64) -> DateTime<Utc> {
    "2026-11-21T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// When the day is looked at: while it is open, within the horizon of its sources, and past that.
const TIMES: [(&str, i64); 3] = [("open", -2), ("within the horizon", 10), ("past the horizon", 24 * 60 + 10)];

/// A way in which a source can stand.
struct Case {
    name: &'static str,
    /// What it last says of its runs at a time.
    runs: fn(i64) -> Vec<Run>,
    /// Its status; the state of the day, and from which minute on it is incomplete, at each time.
    status: &'static str,
    states: [&'static str; 3],
    incomplete: [Option<i64>; 3],
}

/// When a run began, failed, or was complete, and then through when.
#[derive(Debug, Clone, Copy)]
enum Run {
    Started(i64),
    Failed(i64),
    Completed(i64, i64),
}

use Run::{Completed, Failed, Started};

const DAY: i64 = -24 * 60;

const CASES: [Case; 7] = [
    Case {
        name: "synced",
        runs: |now| vec![Started(now - 2), Completed(now - 1, now - 1)],
        status: "ok",
        states: ["live", "provisional", "final"],
        incomplete: [Some(-3), None, None],
    },
    Case {
        name: "running",
        runs: |now| vec![Completed(now - 5, now - 5), Started(now - 1)],
        status: "running",
        states: ["live", "provisional", "final"],
        incomplete: [Some(-7), None, None],
    },
    Case {
        name: "late, short of the day's end",
        runs: |now| vec![Completed(now - 1, -50)],
        status: "late",
        states: ["live", "provisional", "provisional"],
        incomplete: [Some(-50), Some(-50), Some(-50)],
    },
    Case {
        name: "failed, short of the day's end",
        runs: |now| vec![Completed(-49, -50), Started(now - 2), Failed(now - 1)],
        status: "failed",
        states: ["live", "provisional", "provisional"],
        incomplete: [Some(-50), Some(-50), Some(-50)],
    },
    Case {
        name: "failed, complete before",
        runs: |now| vec![Completed(now - 5, now - 5), Started(now - 2), Failed(now - 1)],
        status: "failed",
        states: ["live", "provisional", "final"],
        incomplete: [Some(-7), None, None],
    },
    Case {
        name: "first run underway",
        runs: |now| vec![Started(now - 1)],
        status: "running",
        states: ["live", "provisional", "provisional"],
        incomplete: [Some(DAY), Some(DAY), Some(DAY)],
    },
    Case {
        name: "never",
        runs: |_| Vec::new(),
        status: "never",
        states: ["live", "provisional", "provisional"],
        incomplete: [Some(DAY), Some(DAY), Some(DAY)],
    },
];

/// One source that stands in one way, and its campaign.
struct Cell {
    case: &'static Case,
    kind: SourceKind,
    is_parked: bool,
    n: u128,
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (first, is_parked) in [(0, false), (PARKED, true)] {
        for (kind, case) in [Push, Pull].into_iter().flat_map(|kind| CASES.iter().map(move |case| (kind, case))) {
            cells.push(Cell { case, kind, is_parked, n: first + (cells.len() as u128) % (2 * CASES.len() as u128) });
        }
    }
    cells
}

impl Cell {
    fn begins(&self) -> Vec<Given> {
        let mut definition = definition(&format!("source {}", self.n), "paid_search", self.kind);
        definition.expected_delay_s = 1_800;
        definition.horizons = Horizons::uniform(Horizon::Seconds(HORIZON_S));
        vec![created(self.n, &format!("Campaign {}", self.n), &["email"]), registered(self.n, definition), self.says(1)]
    }

    /// Clicks in the last hour of the day.
    fn says(&self, count: i64) -> Given {
        match self.kind {
            Push => clicks(self.n, self.n, "2026-11-20T23:10:00Z", count),
            Pull => {
                stated(self.n, self.n, Grain::Hour, "UTC", &[("2026-11-20T23:00:00Z", &[(Measure::Clicks, count)])])
            }
        }
    }

    fn runs(&self, now: i64) -> Vec<Given> {
        let run = |run: Run| match run {
            Started(at) => started(self.n, &text(minute(at))),
            Failed(at) => failed(self.n, &text(minute(at)), "quota exceeded"),
            Completed(at, through) => completed(self.n, &text(minute(at)), &text(minute(through)), Grain::QuarterHour),
        };
        (self.case.runs)(now).into_iter().map(run).collect()
    }

    /// What the day's numbers say of themselves, in the body and in the headers.
    fn check(&self, reply: &Reply, (name, now): (&str, i64), time: usize) {
        let cell = format!("{}, {:?}, {name}, parked: {}\n{reply}", self.case.name, self.kind, self.is_parked);
        let through = (self.case.runs)(now).into_iter().find_map(|run| match run {
            Completed(_, through) => Some(minute(through)),
            Started(_) | Failed(_) => None,
        });
        // The run that is complete was announced as underway a look before, when it could not yet be final.
        let read_early = self.kind == Pull && self.case.name == "running" && time > 0;
        let (state, incomplete) = if self.is_parked {
            // What waits may belong anywhere: nothing is complete, and nothing final.
            (if time == 0 { "live" } else { "provisional" }, Some(DAY))
        } else if read_early {
            ("provisional", self.case.incomplete[time])
        } else {
            (self.case.states[time], self.case.incomplete[time])
        };
        // The body tells it as of the last instant at which the clock changed anything.
        let version = reply.body["meta"]["version"].as_str().unwrap();
        let as_of = DateTime::from_timestamp(version.split('.').nth(1).unwrap().parse().unwrap(), 0).unwrap();
        // A push source settles by the clock, a pull source by the start of the run that read it.
        let started = (self.case.runs)(now).into_iter().find_map(|run| match run {
            Started(at) if !self.case.name.starts_with("failed") && self.case.name != "running" => Some(at),
            _ => None,
        });
        let completed = (self.case.runs)(now).into_iter().find_map(|run| match run {
            Completed(at, _) => Some(at),
            Started(_) | Failed(_) => None,
        });
        let underway = TIMES[time.saturating_sub(1)].1 - 1;
        let read_at = if read_early { Some(underway) } else { started.or(completed) };
        let read_at = if self.kind == Push { Some(as_of) } else { read_at.map(minute) };
        let final_through = through.zip(read_at).map(|(through, at)| through.min(at - TimeDelta::seconds(HORIZON_S)));
        // Of a day that is complete, what is final is told in whole days.
        let whole = |through: DateTime<Utc>| {
            let day = through.date_naive().and_time(NaiveTime::MIN).and_utc();
            if incomplete.is_none() && !self.is_parked { day } else { through }
        };
        let final_through = final_through.map(whole);
        // Nothing beyond the day is told, and of a source whose numbers of it are final nothing else.
        let end = minute(0);
        let is_final = state == "final";
        let within = |through: Option<DateTime<Utc>>| {
            if is_final { Some(end) } else { through.map(|through| through.min(end)) }
        };
        let mut source = json!({
            "source": format!("source {}", self.n),
            "role": "primary",
            "status": if is_final { "ok" } else { self.case.status },
            "complete_through": within(through).map(text),
            "final_through": within(final_through.filter(|_| !self.is_parked)).map(text),
            "parked": i32::from(self.is_parked),
        });
        if read_early && time == 2 {
            source["not_reread_since"] = json!(text(minute(underway)));
        }
        let is_complete = incomplete.is_none() && state != "live";
        assert_eq!(
            reply.body["meta"]["freshness"],
            json!({
                "state": state,
                "first_incomplete": incomplete.map(|minutes| text(minute(minutes))),
                "complete_through": is_complete.then_some("2026-11-20"),
                "final_through": (state == "final").then_some("2026-11-20"),
                "sources": [source],
            }),
            "{cell}"
        );
        assert_eq!(reply.column("state"), [json!(state)], "{cell}");
        assert_eq!(reply.warnings(), if self.is_parked { vec!["parked"] } else { vec![] }, "{cell}");
        let more = match through {
            _ if self.is_parked => ", parked=1".to_owned(),
            Some(through) => format!(", complete_through=@{}", through.min(end).timestamp()),
            None => String::new(),
        };
        let header = format!("state={state}, lag=0.000{more}");
        assert_eq!(reply.header("data-freshness"), header, "{cell}");
    }

    /// What is said of the source as it is now.
    fn check_source(&self, sources: &Value, now: i64) {
        let id = json!(source(self.n).0);
        let told = sources.as_array().unwrap().iter().find(|told| told["source_id"] == id).unwrap();
        let expected = json!([self.case.status, i32::from(self.is_parked)]);
        assert_eq!(json!([told["status"], told["parked"]]), expected, "{} at {now}: {told}", self.case.name);
        assert_eq!(told["final_through"].is_null(), self.is_parked || told["complete_through"].is_null(), "{told}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn freshness_matches_the_table(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let cells = cells();
    world.clock.set(minute(-30));
    world.given(cells.iter().flat_map(Cell::begins)).await;
    // The database refuses what is new of these.
    for table in ["rollup_15m", "statements"] {
        let rule = format!("CHECK (campaign_id < '{}') NOT VALID", campaign(PARKED));
        let refuse = format!("ALTER TABLE read.{table} ADD CONSTRAINT forbidden {rule}");
        sqlx::query(&refuse).execute(&world.admin).await.unwrap();
    }
    world.given(cells.iter().filter(|cell| cell.is_parked).map(|cell| cell.says(2))).await;

    for (time, (name, now)) in TIMES.into_iter().enumerate() {
        world.clock.set(minute(now));
        world.given(cells.iter().flat_map(|cell| cell.runs(now))).await;
        let sources = world.get("/v1/freshness").await.ok();
        for cell in &cells {
            let day = "date_from=2026-11-20&date_to=2026-11-20&granularity=all&time_zone=UTC&measures=clicks";
            let path = format!("/v1/campaigns/{}/metrics?{day}", campaign(cell.n));
            let reply = world.get(&path).await.ok();
            cell.check(&reply, (name, now), time);
            cell.check_source(&sources.body["data"]["sources"], now);
            if cell.is_parked {
                continue;
            }
            // What is not final is not among what is.
            let rows = world.get(&format!("{path}&data_state=final")).await.ok().column("clicks").len();
            let is_final = reply.body["meta"]["freshness"]["state"] == "final";
            assert_eq!(rows, usize::from(is_final), "{reply}");
        }
    }
}
