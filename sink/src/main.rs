//! The command line of phc-sink: reads the options, starts the server, and ends it on a signal.

use std::io::{IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, PoisonError};

use clap::Parser;
use phc_sink::{Chaos, MAX_BODY, MAX_WIRE_BODY, MEMORY, Options, Script, Sink, Terminal, snippets};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A strict local Capture v1 server: accepts events, checks every rule of the
/// contract, responds as scripted, shows what it received.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Write the port into this file once the server listens.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// A script (JSON) for the namespace without a prefix.
    #[arg(long)]
    script: Option<PathBuf>,
    /// Seeded random failures for the namespace without a prefix: seed=1,status503=0.1,…
    #[arg(long)]
    chaos: Option<String>,
    /// A certificate chain (PEM): speak TLS.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM).
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Accept only clients with a certificate that this authority (PEM) has signed.
    #[arg(long, requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Respond with 401 to any other project key.
    #[arg(long)]
    api_key: Option<String>,
    /// Respond with 413 to bodies larger than this many bytes, decompressed.
    #[arg(long, default_value_t = MAX_BODY)]
    max_body: usize,
    /// The same for bodies as sent.
    #[arg(long, default_value_t = MAX_WIRE_BODY)]
    max_wire_body: usize,
    /// About how many MiB of memory one namespace may use for its records; all together use at most twice as much.
    #[arg(long, default_value_t = MEMORY >> 20)]
    memory: usize,
    /// Print how to send events to it, in each language.
    #[arg(long)]
    snippets: bool,
    /// Print nothing about the requests.
    #[arg(long)]
    quiet: bool,
    /// End when standard input ends, so that a test cannot leave a sink running.
    #[arg(long)]
    exit_with_stdin: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phc-sink: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let Arguments { max_body, max_wire_body, .. } = *arguments;
    let options = Options { api_key: arguments.api_key.clone(), max_body, max_wire_body };
    let terminal = (!arguments.quiet).then(|| Terminal { colour: std::io::stdout().is_terminal() });
    let sink = Sink::with_memory(options, terminal, arguments.memory << 20);
    {
        let root = sink.namespace("");
        let mut root = root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &arguments.script {
            root.set_script(Script::parse(&read(file)?)?);
        }
        if let Some(chaos) = &arguments.chaos {
            root.set_chaos(Chaos::parse(chaos)?);
        }
    }
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(acceptor(certificate, key, arguments.tls_client_ca.as_deref())?)
        }
        _ => None,
    };
    if arguments.exit_with_stdin {
        let sink = Arc::clone(&sink);
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            sink.finish_printing();
            std::process::exit(0);
        });
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let ended = runtime.block_on(async {
        let listener = TcpListener::bind(arguments.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut text = format!("phc-sink listening on {scheme}://{address}\n");
        if arguments.snippets {
            text += &snippets(&format!("{scheme}://{address}"));
        }
        print_first(&text);
        if let Some(file) = &arguments.port_file {
            write_port(file, address.port())?;
        }
        tokio::select! {
            served = Arc::clone(&sink).serve(listener, tls) => served.map_err(|error| error.to_string()),
            ended = terminated() => ended.map_err(|error| error.to_string()),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    });
    sink.finish_printing();
    ended
}

/// Prints where the sink listens, before anything else. A program that does not read it has the port from a file.
fn print_first(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Waits until the process is asked to end.
#[cfg(unix)]
async fn terminated() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

/// Windows asks a process on a console only, as Ctrl-C does.
#[cfg(windows)]
async fn terminated() -> std::io::Result<()> {
    std::future::pending().await
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

/// Writes a new file and renames it, so that a reader never sees half of the number.
fn write_port(file: &Path, port: u16) -> Result<(), String> {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{port}\n"))
        .and_then(|()| std::fs::rename(&new, file))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn acceptor(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<TlsAcceptor, String> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("cannot read the private key {}: {error}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(|error| error.to_string())?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| error.to_string())?)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(|error| error.to_string())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| format!("cannot read the certificate {}: {error}", file.display()))
}
