// node-media-server as the tests want it: on the loopback, with the ports and the folder of the command line.
//
//     node server.js RTMP_PORT RTMPS_PORT FOLDER KEY CERTIFICATE
"use strict";

const NodeMediaServer = require("node-media-server");

const [rtmp, rtmps, folder, key, cert] = process.argv.slice(2);
const server = new NodeMediaServer({
  bind: "127.0.0.1",
  auth: { play: false, publish: false },
  rtmp: { port: Number(rtmp) },
  rtmps: { port: Number(rtmps), key, cert },
  store: { path: folder },
  webadmin: { enable: false },
});
server.run();
