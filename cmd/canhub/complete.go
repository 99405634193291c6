package main

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"github.com/canhub-go/canhub"
	"github.com/spf13/cobra"
)

// completeBus offers the kinds of URLs, the files of a log: URL, and behind a "?"
// the options.
func completeBus(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	const more = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	var offers []string
	for _, s := range canhub.Schemes() {
		rest, isIt := strings.CutPrefix(typed, s.Name+":")
		before, query, hasQuery := strings.Cut(rest, "?")
		switch {
		case s.Name == "hub": // there is none in this process
		case !isIt:
			offers = append(offers, s.Name+":\t"+s.Meaning)
		case hasQuery:
			last := strings.LastIndexByte(query, '&') + 1
			for _, o := range s.Options {
				offers = append(offers, s.Name+":"+before+"?"+query[:last]+o.Name+"=\t"+o.Meaning)
			}
		case s.Name == "log":
			for _, file := range filesFrom(before) {
				offers = append(offers, "log:"+file)
			}
		}
	}
	return offers, more
}

// completeLog leaves the first argument, a file, to the shell; those behind it are
// buses.
func completeLog(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return completeBus(cmd, args, typed)
}

// filesFrom returns the files and folders whose path begins with typed.
func filesFrom(typed string) (paths []string) {
	dir, base := filepath.Split(typed)
	entries, _ := os.ReadDir(cmp.Or(dir, ".")) // an error has nothing to offer
	for _, e := range entries {
		switch {
		case !strings.HasPrefix(e.Name(), base):
		case e.IsDir():
			paths = append(paths, dir+e.Name()+"/")
		default:
			paths = append(paths, dir+e.Name())
		}
	}
	return paths
}
