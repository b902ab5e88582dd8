//! Campaigns: made, changed, and led through their life.

pub(crate) mod lifecycle; // launch, pause, resume, complete, archive
mod schema; // request and answer shapes

use axum::extract::State;
use domain::campaign::CampaignCommand;
use domain::ids::CampaignId;
use http::StatusCode;
use http_edge::path::ApiPath;
use http_edge::problem::Problem;
use uuid::Uuid;

use crate::command::{CommandContext, JsonCommand};
use crate::outcome::{CommandResult, Outcome};
use crate::precondition::IfMatch;
use crate::problems::kinds::{BudgetProblems, CreateCampaignProblems, EditCampaignProblems};
use crate::response::{CommandResponse, rejection_or_corrupt_receipt};
use crate::state::ApiState;
use crate::{execute, ids};

pub(crate) use schema::{CampaignResponse, CreateCampaign, EditCampaign, SetBudget};

/// Draft a campaign
///
/// An external id that another campaign has is refused (409). With an `Idempotency-Key`, a repeated request is answered
/// with the campaign that the first one created.
#[utoipa::path(
    post,
    path = "/v1/campaigns",
    operation_id = "create_campaign",
    tag = "campaigns",
    request_body = CreateCampaign,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "Drafted", body = CampaignResponse, headers(
            ("Location" = String, description = "The campaign in the read API"),
            ("ETag" = String, description = "Its version: what `If-Match` takes"),
            ("Consistency-Token" = String, description = "Makes a read wait for this"),
            ("Idempotency-Replayed" = String, description = "`true`, where the request was carried out before"),
        )),
        CreateCampaignProblems,
    ),
    security(("key" = []))
)]
pub(crate) async fn create(State(state): State<ApiState>, command: JsonCommand) -> Result<CommandResponse, Problem> {
    let body: CreateCampaign = command.body()?;
    let caller = &command.caller;
    let id = CampaignId(ids::at(caller.received_at));
    let create = body.into_command(id, caller.received_at);
    let done = execute::execute_campaign_command(&state, caller, id, &IfMatch::Any, create).await?;
    answer(caller, &done)
}

/// Change some of what a campaign is
///
/// A member that is left out stays as it is. `null` takes away what a campaign may lack: `ends_on`, all `external_ids`,
/// all `attributes`. Lists and maps are replaced whole.
#[utoipa::path(
    patch,
    path = "/v1/campaigns/{id}",
    operation_id = "edit_campaign",
    tag = "campaigns",
    request_body = EditCampaign,
    params(
        ("id" = Uuid, Path, description = "The campaign", example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62"),
        ("If-Match" = Option<String>, Header, description = "The version that the change is meant for, as `ETag` had it; `*` or nothing: any"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 1 to 255 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "Changed, or already so", body = CampaignResponse, headers(
            ("ETag" = String, description = "Its version: what `If-Match` takes"),
            ("Consistency-Token" = String, description = "Makes a read wait for this"),
            ("Idempotency-Replayed" = String, description = "`true`, where the request was carried out before"),
        )),
        EditCampaignProblems,
    ),
    security(("key" = []))
)]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    ApiPath(id): ApiPath<Uuid>,
    command: JsonCommand,
) -> Result<CommandResponse, Problem> {
    let body: EditCampaign = command.body()?;
    let edit = CampaignCommand::Edit(body.into_edit(command.caller.received_at));
    change(&state, &command.caller, id, edit).await
}

/// Give a campaign a budget, or none
#[utoipa::path(
    put,
    path = "/v1/campaigns/{id}/budget",
    operation_id = "set_budget",
    tag = "campaigns",
    request_body = SetBudget,
    params(
        ("id" = Uuid, Path, description = "The campaign", example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62"),
        ("If-Match" = Option<String>, Header, description = "The version that the change is meant for, as `ETag` had it; `*` or nothing: any"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 1 to 255 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "Set, or already so", body = CampaignResponse, headers(
            ("ETag" = String, description = "Its version: what `If-Match` takes"),
            ("Consistency-Token" = String, description = "Makes a read wait for this"),
            ("Idempotency-Replayed" = String, description = "`true`, where the request was carried out before"),
        )),
        BudgetProblems,
    ),
    security(("key" = []))
)]
pub(crate) async fn set_budget(
    State(state): State<ApiState>,
    ApiPath(id): ApiPath<Uuid>,
    command: JsonCommand,
) -> Result<CommandResponse, Problem> {
    let SetBudget { budget } = command.body()?;
    let budget = CampaignCommand::SetBudget { budget: budget.map(Into::into), at: command.caller.received_at };
    change(&state, &command.caller, id, budget).await
}

/// Carries out a command on a campaign that exists.
async fn change(
    state: &ApiState,
    caller: &CommandContext,
    id: Uuid,
    command: CampaignCommand,
) -> Result<CommandResponse, Problem> {
    let if_match = caller.if_match()?;
    let done = execute::execute_campaign_command(state, caller, CampaignId(id), if_match, command).await?;
    answer(caller, &done)
}

fn answer(caller: &CommandContext, done: &CommandResult) -> Result<CommandResponse, Problem> {
    let (status, id) = match done.outcome {
        Outcome::Created(id) => (StatusCode::CREATED, id),
        Outcome::Changed(id) => (StatusCode::OK, id),
        Outcome::Registered(_)
        | Outcome::AlreadyRegistered(_)
        | Outcome::SyncRecorded
        | Outcome::BatchProcessed(_)
        | Outcome::Refused(_) => return rejection_or_corrupt_receipt(caller, done),
    };
    let body = CampaignResponse { campaign_id: id.0, version: done.version, position: done.position };
    let answer = CommandResponse::new(status, caller, done, &body).with_version(done.version);
    Ok(if status == StatusCode::CREATED { answer.with_location(&format!("/v1/campaigns/{id}")) } else { answer })
}
