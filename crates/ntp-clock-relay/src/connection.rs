//! What is known of a connection.

use std::any::Any;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;

use crate::rate::Budget;

/// What a relay keeps for each connection: how often it may still ask.
///
/// It is `ConnectInfo` for axum: `app.into_make_service_with_connect_info::<Connection>()`.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    budget: Arc<Budget>,
    /// Its server's, held for as long as the connection lasts, a WebSocket's too.
    _held: Option<Arc<dyn Any + Send + Sync>>,
}

impl Connection {
    #[cfg(feature = "server")]
    pub(crate) fn holding(held: impl Any + Send + Sync) -> Self {
        Connection { _held: Some(Arc::new(held)), ..Connection::default() }
    }

    /// Whether it may make one more request, at this many a second.
    pub(crate) fn may_ask(&self, per_second: u32) -> bool {
        self.budget.take(per_second)
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Connection {
    fn connect_info(_: IncomingStream<'_, TcpListener>) -> Self {
        Connection::default()
    }
}
