package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/canhub-go/canhub/hub"
)

// maxFilters bounds the work that a client can make for the channel.
const maxFilters = 256

// A request is what a bus_request asks for.
type request struct {
	channel string // "" if it names none
	own     bool
	keep    bool
	filters []hub.Filter
}

// readRequest reads the payload of a bus_request. Settings that mean nothing
// here are passed over: a Python program may have many, for its server.
func readRequest(payload json.RawMessage) (r request, err error) {
	members, err := object(payload)
	if err != nil {
		return r, fmt.Errorf("bus_request: payload: %w", err)
	}
	config, err := configOf(members["config"])
	if err != nil {
		return r, fmt.Errorf("bus_request: config: %w", err)
	}
	for name, read := range map[string]func(v json.RawMessage) error{
		"channel": func(v json.RawMessage) error {
			if json.Unmarshal(v, &r.channel) != nil {
				r.channel = "" // Python programs may have a number there
			}
			return nil
		},
		"receive_own_messages": func(v json.RawMessage) (err error) {
			r.own, err = truth(v)
			return err
		},
		"preserve_timestamps": func(v json.RawMessage) (err error) {
			r.keep, err = truth(v)
			return err
		},
		"can_filters": func(v json.RawMessage) (err error) {
			r.filters, err = readFilters(v)
			return err
		},
	} {
		if v, ok := config[name]; ok {
			if err := read(v); err != nil {
				return r, fmt.Errorf("bus_request: %s: %w", name, err)
			}
		}
	}
	return r, nil
}

// configOf reads an object, also one that is an array of pairs.
func configOf(v json.RawMessage) (map[string]json.RawMessage, error) {
	if v == nil {
		return nil, errors.New("missing")
	}
	if v[0] != '[' {
		return object(v)
	}
	var pairs [][]json.RawMessage
	if err := json.Unmarshal(v, &pairs); err != nil {
		return nil, err
	}
	config := make(map[string]json.RawMessage)
	for _, p := range pairs {
		var name string
		if len(p) != 2 || json.Unmarshal(p[0], &name) != nil {
			return nil, errors.New("an array, but not of pairs of a name and a value")
		}
		config[name] = p[1]
	}
	return config, nil
}

func readFilters(v json.RawMessage) ([]hub.Filter, error) {
	if string(v) == "null" {
		return nil, nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(v, &items); err != nil {
		return nil, err
	}
	if len(items) > maxFilters {
		return nil, fmt.Errorf("%d filters: at most %d", len(items), maxFilters)
	}
	var filters []hub.Filter
	for i, item := range items {
		f, err := readFilter(item)
		if err != nil {
			return nil, fmt.Errorf("filter %d: %w", i+1, err)
		}
		filters = append(filters, f)
	}
	return filters, nil
}

func readFilter(v json.RawMessage) (f hub.Filter, err error) {
	members, err := object(v)
	if err != nil {
		return f, err
	}
	for name, to := range map[string]*uint32{"can_id": &f.ID, "can_mask": &f.Mask} {
		n, err := whole(members[name], math.MaxUint32)
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
		*to = uint32(n)
	}
	if v, ok := members["extended"]; ok {
		f.ExtendedOnly, err = truth(v)
		f.StandardOnly = !f.ExtendedOnly
	}
	return f, err
}

// configFilters returns what makes a server send what filters let through, or
// nil if there is no such thing.
func configFilters(filters []hub.Filter) []map[string]any {
	var items []map[string]any
	for _, f := range filters {
		if f.Invert {
			return nil
		}
		item := map[string]any{"can_id": f.ID, "can_mask": f.Mask}
		if f.StandardOnly || f.ExtendedOnly {
			item["extended"] = f.ExtendedOnly
		}
		items = append(items, item)
	}
	return items
}
