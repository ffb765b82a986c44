// Google's own fake of Pub/Sub (pstest, gRPC only) behind the paths of the REST API: pubsubserver HOST:PORT [FILE]
// What a request says goes to the fake as it is, and its errors come back as Google's REST API writes them.
// The fake is in memory. With a file, what was created, published and acknowledged is written there, and done again at the next start: the fake numbers its
// messages in the order in which they are published, so each has its name again, and what wasn't acknowledged is handed out again.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var statuses = map[codes.Code]int{
	codes.InvalidArgument: 400, codes.FailedPrecondition: 400, codes.NotFound: 404, codes.AlreadyExists: 409,
	codes.Unauthenticated: 401, codes.PermissionDenied: 403, codes.ResourceExhausted: 429, codes.Unavailable: 503,
}

var names = map[codes.Code]string{
	codes.InvalidArgument: "INVALID_ARGUMENT", codes.FailedPrecondition: "FAILED_PRECONDITION", codes.NotFound: "NOT_FOUND",
	codes.AlreadyExists: "ALREADY_EXISTS", codes.Unavailable: "UNAVAILABLE",
}

func main() {
	fake := pstest.NewServer()
	connection, err := grpc.NewClient(fake.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	publisher, subscriber := pubsubpb.NewPublisherClient(connection), pubsubpb.NewSubscriberClient(connection)
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path := strings.TrimPrefix(r.URL.Path, "/v1/")
		name, verb, _ := strings.Cut(path, ":")
		if r.Method != "POST" {
			verb = strings.ToLower(r.Method)
		}
		// the fake names a resource in a field of the request, the REST API in the path
		read := func(message proto.Message, field string) proto.Message {
			if len(body) == 0 {
				body = []byte("{}")
			}
			var fields map[string]json.RawMessage
			if json.Unmarshal(body, &fields) != nil {
				return nil
			}
			fields[field], _ = json.Marshal(name)
			whole, _ := json.Marshal(fields)
			if protojson.Unmarshal(whole, message) != nil {
				return nil
			}
			return message
		}
		ctx, cancel := context.WithTimeout(r.Context(), 90*time.Second)
		defer cancel()
		var said proto.Message
		err := status.Error(codes.InvalidArgument, "what is that?")
		isTopic := strings.Contains(name, "/topics/")
		switch {
		case verb == "put" && isTopic:
			if m := read(&pubsubpb.Topic{}, "name"); m != nil {
				said, err = publisher.CreateTopic(ctx, m.(*pubsubpb.Topic))
			}
		case verb == "put":
			if m := read(&pubsubpb.Subscription{}, "name"); m != nil {
				said, err = subscriber.CreateSubscription(ctx, m.(*pubsubpb.Subscription))
			}
		case verb == "get" && isTopic:
			said, err = publisher.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: name})
		case verb == "get":
			said, err = subscriber.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: name})
		case verb == "publish":
			if m := read(&pubsubpb.PublishRequest{}, "topic"); m != nil {
				said, err = publisher.Publish(ctx, m.(*pubsubpb.PublishRequest))
			}
		case verb == "pull":
			if m := read(&pubsubpb.PullRequest{}, "subscription"); m != nil {
				said, err = subscriber.Pull(ctx, m.(*pubsubpb.PullRequest))
			}
		case verb == "acknowledge":
			if m := read(&pubsubpb.AcknowledgeRequest{}, "subscription"); m != nil {
				said, err = subscriber.Acknowledge(ctx, m.(*pubsubpb.AcknowledgeRequest))
			}
		case verb == "modifyAckDeadline":
			if m := read(&pubsubpb.ModifyAckDeadlineRequest{}, "subscription"); m != nil {
				said, err = subscriber.ModifyAckDeadline(ctx, m.(*pubsubpb.ModifyAckDeadlineRequest))
			}
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		if err != nil {
			code := status.Code(err)
			number, known := statuses[code]
			if !known {
				number = 500
			}
			w.WriteHeader(number)
			json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
				"code": number, "message": status.Convert(err).Message(), "status": names[code]}})
			return
		}
		written, _ := protojson.Marshal(said)
		w.Write(written)
	}
	handler := http.HandlerFunc(answer)
	if len(os.Args) > 2 {
		handler = kept(os.Args[2], handler)
	}
	fmt.Println("ready")
	if err := http.ListenAndServe(os.Args[1], handler); err != nil {
		panic(err)
	}
}

// A request that changes what there is, as it stands in the file.
type change struct {
	Method, Path string
	Body         []byte
}

// Before a message was handed out, it is acknowledged by its name alone.
var handedOut = regexp.MustCompile(`(m[0-9]+):[0-9]+`)

// kept does what the file says, and then writes there what changes anything and was answered with success. A message that isn't there yet is handed to
// nobody: after a kill its name would be another one's. For the same reason it doesn't matter that who asked for a change has left.
func kept(path string, handler http.HandlerFunc) http.HandlerFunc {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	lines := json.NewDecoder(file)
	end := int64(0)
	for {
		var it change
		if lines.Decode(&it) != nil { // the last line may be half of one
			break
		}
		end = lines.InputOffset()
		request := httptest.NewRequest(it.Method, it.Path, bytes.NewReader(handedOut.ReplaceAll(it.Body, []byte("$1"))))
		handler(httptest.NewRecorder(), request)
	}
	file.Truncate(end)
	file.Seek(end, io.SeekStart)
	var one sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "PUT" && !strings.HasSuffix(r.URL.Path, ":publish") && !strings.HasSuffix(r.URL.Path, ":acknowledge") {
			answer := httptest.NewRecorder()
			handler(answer, r)
			one.Lock() // what is in the answer may have been published just now
			one.Unlock()
			give(w, answer)
			return
		}
		body, _ := io.ReadAll(r.Body)
		r = r.WithContext(context.WithoutCancel(r.Context()))
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		one.Lock()
		defer one.Unlock()
		handler(answer, r)
		if answer.Code == 200 {
			line, _ := json.Marshal(change{r.Method, r.URL.Path, body})
			file.Write(append(line, '\n'))
		}
		give(w, answer)
	}
}

func give(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}
