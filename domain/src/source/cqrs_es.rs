//! Compatibility with cqrs-es: the source as its `Aggregate`, for loads and for its test framework. The rules are in
//! [`decide()`], which use cases call directly.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use super::{STREAM_TYPE, Source, SourceCommand, SourceError, SourceEvent, decide};

impl Aggregate for Source {
    const TYPE: &'static str = STREAM_TYPE;
    type Command = SourceCommand;
    type Event = SourceEvent;
    type Error = SourceError;
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
