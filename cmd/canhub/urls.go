package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/canhub-go/canhub"
	"github.com/spf13/cobra"
)

// urls is the command that explains the URLs of buses.
func (a *app) urls() *cobra.Command {
	return &cobra.Command{
		Use:   "urls",
		Short: "Explain the URLs of buses and their options",
		Long: `A bus is named by a URL. Options stand behind a "?", with "&" between them; in
a shell such a URL needs quotes. A server without a host is on this machine, and
without either at its usual port: ws: is ws://127.0.0.1:54701/.

A name and "=" in front of it say what the bus is called in the output:

  canhub dump front=multicast://239.74.163.2 'rear=log:rear.log?speed=2'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, s := range canhub.Schemes() {
				fmt.Fprintf(w, "%s\t\t%s\n", s.Form, s.Meaning)
				for _, o := range s.Options {
					fmt.Fprintf(w, "  %s=%s\t\t%s\n", o.Name, o.Value, o.Meaning)
				}
			}
			fmt.Fprintf(w, "\nServers, for --listen of serve and demo:\n")
			for _, s := range canhub.Schemes() {
				if s.Listen == nil {
					continue
				}
				fmt.Fprintf(w, "%s\t\tof clients that open such a URL\n", s.Name+":")
				for _, o := range s.Listen {
					fmt.Fprintf(w, "  %s=%s\t\t%s\n", o.Name, o.Value, o.Meaning)
				}
			}
			return w.Flush()
		},
	}
}
