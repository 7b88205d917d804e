//! The OTLP/gRPC side: the three `Export` services over one sink.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use prost::Message;
use tonic::{Request, Response, Status, codec::CompressionEncoding, service::Routes};

use crate::{
    limits::MAX_DECODED,
    reply::{Rejected, Reply, reply_to},
    sink::{Received, Sink},
};

/// The services as routes, ready to be served.
pub(crate) fn routes(sink: Arc<dyn Sink>) -> Routes {
    let services = Arc::new(Services { sink });
    let traces = TraceServiceServer::from_arc(Arc::clone(&services))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_DECODED);
    let metrics = MetricsServiceServer::from_arc(Arc::clone(&services))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_DECODED);
    let logs = LogsServiceServer::from_arc(services)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_DECODED);
    Routes::new(traces).add_service(metrics).add_service(logs)
}

/// One sink behind three services.
struct Services {
    sink: Arc<dyn Sink>,
}

impl Services {
    /// Hands a request to the sink; `Ok` carries what was rejected, if anything was.
    fn export(&self, request: Received) -> Result<Option<Rejected>, Status> {
        match reply_to(self.sink.receive(request)) {
            Reply::Taken(rejected) => Ok(rejected),
            Reply::Refused { status, .. } => {
                let details = status.encode_to_vec();
                Err(Status::with_details(status.code.into(), status.message, details.into()))
            }
        }
    }
}

#[tonic::async_trait]
impl TraceService for Services {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let rejected = self.export(Received::Traces(request.into_inner()))?;
        let partial_success = rejected.map(|Rejected { count, message }| ExportTracePartialSuccess {
            rejected_spans: count,
            error_message: message,
        });
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl MetricsService for Services {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let rejected = self.export(Received::Metrics(request.into_inner()))?;
        let partial_success = rejected.map(|Rejected { count, message }| ExportMetricsPartialSuccess {
            rejected_data_points: count,
            error_message: message,
        });
        Ok(Response::new(ExportMetricsServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl LogsService for Services {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let rejected = self.export(Received::Logs(request.into_inner()))?;
        let partial_success = rejected.map(|Rejected { count, message }| ExportLogsPartialSuccess {
            rejected_log_records: count,
            error_message: message,
        });
        Ok(Response::new(ExportLogsServiceResponse { partial_success }))
    }
}
