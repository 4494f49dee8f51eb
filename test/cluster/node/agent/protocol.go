package agent

import (
	"syscall"
	"time"
)

// SocketName is the agent's socket in the state directory.
const SocketName = "agent.sock"

// Program is something that the agent starts and watches.
type Program struct {
	// Name identifies the program; its output goes to log/NAME.log.
	Name string `json:"name"`
	// Args are the path of the executable and its arguments.
	Args []string `json:"args"`
	// Env are additional variables, "NAME=value".
	Env []string `json:"env,omitempty"`
}

// Status is what became of a program.
type Status struct {
	Name string `json:"name"`
	// PID is its process identifier inside the PID namespace.
	PID int `json:"pid"`
	// Running tells that it has not ended.
	Running bool `json:"running"`
	// Exit says how it ended, for people.
	Exit string `json:"exit,omitempty"`
}

// request asks for one thing: the field that is set.
type request struct {
	Dial  *dialRequest `json:"dial,omitempty"`
	Start *Program     `json:"start,omitempty"`
	Stop  string       `json:"stop,omitempty"`
	// Signal goes to a program that runs.
	Signal *signalRequest `json:"signal,omitempty"`
	List   bool           `json:"list,omitempty"`
}

type signalRequest struct {
	Name   string         `json:"name"`
	Signal syscall.Signal `json:"signal"`
}

type dialRequest struct {
	Network string        `json:"network"`
	Address string        `json:"address"`
	Timeout time.Duration `json:"timeout"`
}

type response struct {
	Error    string   `json:"error,omitempty"`
	Programs []Status `json:"programs,omitempty"`
}
