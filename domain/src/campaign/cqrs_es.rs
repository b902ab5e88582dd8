//! Compatibility with cqrs-es: the campaign as its `Aggregate`, for loads and for its test framework. The rules are in
//! [`decide()`], which use cases call directly.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use super::{Campaign, CampaignCommand, CampaignError, CampaignEvent, STREAM_TYPE, decide};

impl Aggregate for Campaign {
    const TYPE: &'static str = STREAM_TYPE;
    type Command = CampaignCommand;
    type Event = CampaignEvent;
    type Error = CampaignError;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        _services: &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in decide(self, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        Self::apply(self, event);
    }
}
