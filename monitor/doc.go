// Package monitor is a web page that shows what is on a CAN channel: a table
// of identifiers, a trace, the load of the bus, and a form to send.
//
// The page speaks python-can-remote's protocol over WebSocket with the server
// that it came from, at its own URL with ws for http. A channel that was looked
// at stays connected until the page is left. [Handler] belongs where plain
// requests of such a server go:
//
//	remote.Handler(h, &remote.Options{Fallback: monitor.Handler(nil)})
//
// # Paths
//
// "/can0" is the page of the channel can0, "/" that of the server's default
// channel. A channel's name is one segment of the path; a slash in it is
// written %2F, and a channel named "." or ".." has no page. The page asks for its files, for "labels.json" and for
// "channels.json" beside itself, so the handler works behind
// [http.StripPrefix] too. A channel that has the name of one of these files has
// no page either.
//
// The query of the page's URL is handed on to the server, so a token that a
// server takes from it works. The handler itself asks for none: whoever reaches
// it can read the names that it was given and those of the channels, but no
// traffic.
//
// # Names of messages
//
// [ReadLabels] reads a file with a name to a line, [ReadDBC] the messages of a
// DBC file, [LoadLabels] either. In a DBC file only the BO_ lines count.
//
// # What the page promises
//
// Every message that arrives is counted, whatever the rate; only drawing is
// limited, to ten times a second. The trace keeps the last 20,000 messages, the
// table 2,048 identifiers, and a recording half a gibibyte; while the page is
// too busy to look at them, 32 MiB of messages wait for it. What was left out is
// said. The load is computed
// from the exact length of each frame with its stuff bits and the space between
// frames, at the bit rate that the user sets; error frames and messages that
// were lost on the way are not in it. All of it stays when the connection ends;
// the page connects again by itself.
//
// Everything is in the binary: nothing is fetched from elsewhere, and the
// headers forbid it.
package monitor
