//! The steps of a campaign's life. Each is a path of its own and needs no body.

use axum::extract::State;
use domain::campaign::CampaignCommand;
use platform::http::path::ApiPath;
use platform::http::problem::Problem;
use uuid::Uuid;

use super::{CampaignAnswer, change};
use crate::answer::Answer;
use crate::command::BareCommand;
use crate::state::ApiState;

macro_rules! steps {
    ($($(#[doc = $doc:literal])+ $name:ident $path:literal $command:ident;)+) => {$(
        $(#[doc = $doc])+
        #[utoipa::path(
            post,
            path = $path,
            operation_id = concat!(stringify!($name), "_campaign"),
            tag = "campaigns",
            params(
                ("id" = Uuid, Path, description = "The campaign"),
                ("If-Match" = Option<String>, Header, description = "The version that the change is meant for"),
                ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat"),
            ),
            responses(
                (status = 200, description = "Done", body = CampaignAnswer),
                (status = 412, description = "It has changed since", body = Problem,
                    content_type = "application/problem+json"),
                (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json"),
                (status = "5XX", description = "Not done", body = Problem, content_type = "application/problem+json"),
            ),
            security(("key" = []))
        )]
        pub(crate) async fn $name(
            State(state): State<ApiState>,
            ApiPath(id): ApiPath<Uuid>,
            BareCommand { caller }: BareCommand,
        ) -> Result<Answer, Problem> {
            change(&state, &caller, id, CampaignCommand::$command { at: caller.received_at }).await
        }
    )+};
}

steps! {
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
