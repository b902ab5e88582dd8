//! The cost of an observation's id, by the number of ids that are kept.
//!
//! Databases with more and with fewer ids in their day partitions take the same batches in turn. Ids are digests, so a
//! new one falls anywhere among the kept ones of its day. The others: the same with the smallest number of ids; and for
//! forgetting a day, a DELETE of as many rows.

mod fill; // ids that are kept already

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::{Days, NaiveDate};
use highwater::system::maintenance;
use platform::clock::{Clock, SystemClock};

use crate::feed::{Feed, Shape};
use crate::recorder::Ids;
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct IdsArgs {
    /// How many million ids are kept; the first number is what the others are compared with.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10])]
    kept: Vec<u32>,
    /// Over how many days they are spread, up to today.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=90))]
    days: u32,
    #[command(flatten)]
    shape: Shape,
}

const RATE: Contest =
    Contest { scenario: "ids", other_name: "fewest ids", unit: "observations/s", better: Better::More };
const COST: Contest = Contest { unit: "us", better: Better::Less, ..RATE };
const FORGET: Contest = Contest { other_name: "DELETE", unit: "ms", better: Better::Less, ..RATE };

pub(crate) async fn run(server: &Server, options: &IdsArgs, rounds: u32, report: &mut Report) -> Result<()> {
    let mut sides = Vec::new();
    for &millions in &options.kept {
        let database = server.database(&format!("ids_{millions}")).await?;
        sides.push(Side::open(database, millions, options).await.with_context(|| format!("{millions} million ids"))?);
    }
    for _ in 0..rounds {
        for side in &mut sides {
            let with_ids = side.record(Ids::Kept).await?;
            let without_ids = side.record(Ids::None).await?;
            side.rates.push(with_ids);
            side.costs.push(1e6 / with_ids - 1e6 / without_ids);
        }
    }
    let (first, more) = sides.split_first().context("no number of ids")?;
    for side in more {
        let figure = format!("{} million ids kept beside {} million", side.millions, first.millions);
        report.add(RATE, &figure, &side.rates, &first.rates)?;
        report.add(COST, &format!("cost of an id, {figure}"), &side.costs, &first.costs)?;
    }
    for side in &sides {
        side.check().await?;
        let (dropped, deleted) = side.forget().await?;
        report.add(FORGET, &format!("a day of {} ids forgotten", side.per_day), &[dropped], &[deleted])?;
    }
    Ok(())
}

/// One number of ids.
struct Side {
    database: Database,
    feed: Feed,
    millions: u32,
    per_day: u32,
    /// Ids that were there, and ids that came.
    ids: i64,
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Side {
    async fn open(database: Database, millions: u32, options: &IdsArgs) -> Result<Self> {
        let (feed, workspaces) = Feed::open(&database, 1, &options.shape).await?;
        let workspace = workspaces.first().context("no workspace")?.id.0;
        let per_day = millions * 1_000_000 / options.days;
        let today = SystemClock.now().date_naive();
        for ago in 0..options.days {
            let day = today.checked_sub_days(Days::new(ago.into())).context("no such day")?;
            fill::day(&database, workspace, day, per_day).await?;
        }
        sqlx::query("VACUUM (ANALYZE) log.item_ids").execute(&database.admin).await?;
        let (ids, rates, costs) = (i64::from(per_day) * i64::from(options.days), Vec::new(), Vec::new());
        Ok(Self { database, feed, millions, per_day, ids, rates, costs })
    }

    /// Records as many observations as one round has, durably, and says how many a second.
    async fn record(&mut self, ids: Ids) -> Result<f64> {
        let batches = self.feed.batches();
        let sent = batches.observations();
        self.ids += if ids == Ids::Kept { i64::from(sent) } else { 0 };
        self.database.settle().await?;
        let began = Instant::now();
        self.feed.record(batches, ids).await?;
        Ok(f64::from(sent) / began.elapsed().as_secs_f64())
    }

    async fn check(&self) -> Result<()> {
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM log.item_ids").fetch_one(&self.database.admin).await?;
        ensure!(kept == self.ids, "{} ids should be kept, but {kept} are", self.ids);
        Ok(())
    }

    /// Forgets a day that no source may send any more, as the server does; and deletes another. In milliseconds.
    async fn forget(&self) -> Result<(f64, f64)> {
        let admin = &self.database.admin;
        let workspace: i32 = sqlx::query_scalar("SELECT min(workspace) FROM log.heads").fetch_one(admin).await?;
        let today = SystemClock.now().date_naive();
        let [deleted, dropped]: [NaiveDate; 2] = ["2020-02-02".parse()?, "2020-02-03".parse()?];
        fill::day(&self.database, workspace, deleted, self.per_day).await?;
        self.database.settle().await?;
        let began = Instant::now();
        let gone = sqlx::query("DELETE FROM log.item_ids WHERE day = $1").bind(deleted).execute(admin).await?;
        let delete = began.elapsed();
        ensure!(gone.rows_affected() == u64::from(self.per_day), "{} ids were deleted", gone.rows_affected());
        maintenance::maintain_days(admin, today).await?;

        fill::day(&self.database, workspace, dropped, self.per_day).await?;
        self.database.settle().await?;
        let began = Instant::now();
        maintenance::maintain_days(admin, today).await?;
        let drop = began.elapsed();
        self.check().await?;
        Ok((drop.as_secs_f64() * 1e3, delete.as_secs_f64() * 1e3))
    }
}
