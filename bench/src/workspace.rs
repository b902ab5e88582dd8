//! A workspace that takes observations: one push source and some campaigns, made over HTTP as anybody would make them.

use anyhow::{Context, Result};
use domain::ids::{CampaignId, SourceId, WorkspaceId};
use domain::money::Currency;
use domain::zone::Zone;
use highwater::workspace;
use http::StatusCode;
use platform::clock::{Clock, SystemClock};
use platform::keys::{NewKey, create_key};
use platform::principal::Scope;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use crate::connection::Connection;
use crate::server::Database;
use crate::service::Service;

/// The name of each workspace's source.
pub(crate) const SOURCE: &str = "shop";

/// An open workspace and what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    pub(crate) id: WorkspaceId,
    /// A key with every scope.
    pub(crate) key: String,
}

/// What observations of a workspace are about.
#[derive(Debug, Clone)]
pub(crate) struct Subjects {
    pub(crate) source: SourceId,
    pub(crate) campaigns: Vec<CampaignId>,
}

impl Workspace {
    /// Opens a workspace (UTC, EUR).
    pub(crate) async fn open(database: &Database, name: &str) -> Result<Self> {
        let (admin, clock) = (&database.admin, SystemClock::shared());
        let opened =
            workspace::find_or_open(admin, &database.config, name, Zone::UTC, "EUR".parse::<Currency>()?, &clock)
                .await?;
        let new = NewKey { workspace: opened.id, name: "bench", scopes: &Scope::ALL };
        let (_, key) = create_key(&mut *admin.acquire().await?, new, SystemClock.now()).await?;
        Ok(Self { id: WorkspaceId(opened.id), key: key.expose_secret().to_owned() })
    }

    /// Registers the source and drafts so many campaigns.
    pub(crate) async fn populate(&self, service: &Service, campaigns: u32) -> Result<Subjects> {
        #[derive(Deserialize)]
        struct Registered {
            source_id: SourceId,
        }
        #[derive(Deserialize)]
        struct Drafted {
            campaign_id: CampaignId,
        }
        let mut connection = Connection::open(service.command, &self.key).await?;
        let source = json!({
            "name": SOURCE, "channel": "paid_search", "kind": "push", "role": "primary", "time_zone": "UTC",
            "currency": "EUR", "expected_delay_s": 300, "restatement_horizon_s": 86_400
        });
        let answer = connection.post("/v1/sources", source.to_string().into(), &[]).await?;
        let Registered { source_id } = answer.expect(StatusCode::CREATED).context("the source")?.json()?;
        let mut drafted = Vec::new();
        for number in 0..campaigns {
            let campaign = json!({
                "name": format!("Campaign {number}"), "channels": ["paid_search"], "currency": "EUR",
                "time_zone": "UTC", "starts_on": "2026-01-01"
            });
            let answer = connection.post("/v1/campaigns", campaign.to_string().into(), &[]).await?;
            let Drafted { campaign_id } = answer.expect(StatusCode::CREATED).context("a campaign")?.json()?;
            drafted.push(campaign_id);
        }
        Ok(Subjects { source: source_id, campaigns: drafted })
    }
}
