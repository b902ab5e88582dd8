//! The routes of campaigns: create, edit, and the steps of the lifecycle.

pub(crate) mod lifecycle; // launch, pause, resume, complete, archive, unarchive
mod schema; // request and response shapes

use axum::extract::State;
use commands::{ChangedCampaign, CommandContext, Completed, VersionPrecondition};
use domain::campaign::CampaignCommand;
use domain::ids::CampaignId;
use http::StatusCode;
use http_edge::path::ApiPath;
use uuid::Uuid;

use crate::command::{JsonCommand, noted};
use crate::openapi::CampaignHeaders;
use crate::precondition::{IfMatchError, etag};
use crate::problems::RouteError;
use crate::problems::kinds::{BudgetProblems, CreateCampaignProblems, EditCampaignProblems};
use crate::response::CommandResponse;
use crate::state::ApiState;

pub(crate) use schema::{CampaignResponse, CreateCampaign, EditCampaign, SetBudget};

/// Create a campaign
///
/// The campaign is a draft, unless `status` says that it runs or is over already. An external id that another
/// campaign has is an error (409). A request that is repeated with the same `Idempotency-Key` is answered with the
/// campaign that the first request created.
#[utoipa::path(
    post,
    path = "/v1/campaigns",
    operation_id = "create_campaign",
    tag = "campaigns",
    request_body = CreateCampaign,
    responses(
        (status = 201, description = "The campaign was created", body = CampaignResponse, headers(
            ("Location" = String, description = "The campaign in the read API"),
            ("ETag" = String, description = "The version, which `If-Match` takes"),
        )),
        CreateCampaignProblems,
    )
)]
pub(crate) async fn create(State(state): State<ApiState>, command: JsonCommand) -> Result<CommandResponse, RouteError> {
    let mut body: CreateCampaign = command.body()?;
    let context = &noted(command.context, body.reason.take(), body.note_url.take());
    let id = context.new_campaign_id();
    let create = body.into_command(id, context.received_at);
    let created = state.commands.execute_campaign_command(context, id, &VersionPrecondition::Any, create).await?;
    let location = format!("/v1/campaigns/{}", created.value.id);
    Ok(respond(StatusCode::CREATED, context, &created).with_location(&location))
}

/// Edit a campaign
///
/// A member that is left out stays as it is. `null` removes what a campaign may lack: `ends_on`, all `external_ids`,
/// all `attributes`. Lists and maps are replaced whole.
#[utoipa::path(
    patch,
    path = "/v1/campaigns/{id}",
    operation_id = "edit_campaign",
    tag = "campaigns",
    request_body = EditCampaign,
    params(
        ("id" = Uuid, Path, description = "The campaign", example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62"),
        CampaignHeaders,
    ),
    responses(
        (status = 200, description = "The campaign is as requested", body = CampaignResponse, headers(
            ("ETag" = String, description = "The version, which `If-Match` takes"),
        )),
        EditCampaignProblems,
    )
)]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    ApiPath(id): ApiPath<Uuid>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let mut body: EditCampaign = command.body()?;
    let context = noted(command.context, body.reason.take(), body.note_url.take());
    let edit = CampaignCommand::Edit(body.into_edit(context.received_at));
    change(&state, &context, command.if_match, id, edit).await
}

/// Set or remove a campaign's budget
#[utoipa::path(
    put,
    path = "/v1/campaigns/{id}/budget",
    operation_id = "set_budget",
    tag = "campaigns",
    request_body = SetBudget,
    params(
        ("id" = Uuid, Path, description = "The campaign", example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62"),
        CampaignHeaders,
    ),
    responses(
        (status = 200, description = "The budget is as requested", body = CampaignResponse, headers(
            ("ETag" = String, description = "The version, which `If-Match` takes"),
        )),
        BudgetProblems,
    )
)]
pub(crate) async fn set_budget(
    State(state): State<ApiState>,
    ApiPath(id): ApiPath<Uuid>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let SetBudget { budget, reason, note_url } = command.body()?;
    let context = noted(command.context, reason, note_url);
    let budget = CampaignCommand::SetBudget { budget: budget.map(Into::into), at: context.received_at };
    change(&state, &context, command.if_match, id, budget).await
}

/// Carries out a command on an existing campaign.
async fn change(
    state: &ApiState,
    context: &CommandContext,
    if_match: Result<VersionPrecondition, IfMatchError>,
    id: Uuid,
    command: CampaignCommand,
) -> Result<CommandResponse, RouteError> {
    let changed = state.commands.execute_campaign_command(context, CampaignId(id), &if_match?, command).await?;
    Ok(respond(StatusCode::OK, context, &changed))
}

fn respond(status: StatusCode, context: &CommandContext, done: &Completed<ChangedCampaign>) -> CommandResponse {
    let Completed { value: ChangedCampaign { id: CampaignId(campaign_id), version: at }, version, position, .. } =
        *done;
    let etag = etag(at);
    let body = CampaignResponse { campaign_id, version, etag: etag.clone(), position };
    CommandResponse::new(status, context, done, &body).with_etag(&etag)
}
