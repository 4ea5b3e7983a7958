//! Makes a certificate for `localhost` and `127.0.0.1`, signed by itself, and its key: the tests of the
//! Python and the Node binding serve `https` with it. `certificate FOLDER` puts both there.

use std::{env, fs, path::PathBuf};

use anyhow::Context;
use rcgen::{CertifiedKey, generate_simple_self_signed};

fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).context("usage: certificate FOLDER")?);
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("localhost.key"), signing_key.serialize_pem())?;
    fs::write(folder.join("localhost.pem"), cert.pem())?;
    Ok(())
}
