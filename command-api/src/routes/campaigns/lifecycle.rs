//! The steps of a campaign's life. Each is a path of its own and needs no body.

use axum::extract::State;
use domain::campaign::CampaignCommand;
use http_edge::path::ApiPath;
use http_edge::problem::Problem;
use uuid::Uuid;

use super::{CampaignResponse, change};
use crate::command::EmptyCommand;
use crate::problems::kinds::LifecycleProblems;
use crate::response::CommandResponse;
use crate::state::ApiState;

macro_rules! lifecycle_routes {
    ($($(#[doc = $doc:literal])+ $name:ident $path:literal $command:ident;)+) => {$(
        $(#[doc = $doc])+
        #[utoipa::path(
            post,
            path = $path,
            operation_id = concat!(stringify!($name), "_campaign"),
            tag = "campaigns",
            params(
                ("id" = Uuid, Path, description = "The campaign", example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62"),
                ("If-Match" = Option<String>, Header, description = "The version that the change is meant for, as `ETag` had it; `*` or nothing: any"),
                ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 1 to 255 visible ASCII characters"),
            ),
            responses(
                (status = 200, description = "Done, or already so", body = CampaignResponse, headers(
                    ("ETag" = String, description = "Its version: what `If-Match` takes"),
                    ("Consistency-Token" = String, description = "Makes a read wait for this"),
                    ("Idempotency-Replayed" = String, description = "`true`, where the request was carried out before"),
                )),
                LifecycleProblems,
            ),
            security(("key" = []))
        )]
        pub(crate) async fn $name(
            State(state): State<ApiState>,
            ApiPath(id): ApiPath<Uuid>,
            EmptyCommand { caller }: EmptyCommand,
        ) -> Result<CommandResponse, Problem> {
            change(&state, &caller, id, CampaignCommand::$command { at: caller.received_at }).await
        }
    )+};
}

lifecycle_routes! {
    /// Launch a draft
    ///
    /// It is scheduled until its first day begins in its zone, and active from then on.
    launch "/v1/campaigns/{id}/launch" Launch;
    /// Hold a launched campaign
    pause "/v1/campaigns/{id}/pause" Pause;
    /// Let a paused campaign go on
    resume "/v1/campaigns/{id}/resume" Resume;
    /// End a campaign
    complete "/v1/campaigns/{id}/complete" Complete;
    /// Put a campaign away
    ///
    /// From then on it takes no change, and no activity that occurred later.
    archive "/v1/campaigns/{id}/archive" Archive;
}
